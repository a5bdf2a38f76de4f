"""What a change means: two resolved meshes to a tree of changes. Prints nothing and knows no proxy's files."""

from __future__ import annotations

from meshctl.diff.change import Change, MeshDiff, Sign, merge_alike
from meshctl.diff.compare import compare
from meshctl.diff.people import for_people
from meshctl.diff.renaming import under
from meshctl.diff.rendered import FileChange, compare_artifacts
from meshctl.diff.touched import services_of, touched

__all__ = [
    "Change",
    "FileChange",
    "MeshDiff",
    "Sign",
    "compare",
    "compare_artifacts",
    "for_people",
    "merge_alike",
    "services_of",
    "touched",
    "under",
]
