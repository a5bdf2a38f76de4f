"""Outputs on a branch of their own, by git's plumbing alone: no work tree, index, stash or HEAD is touched.

What is published is given as bytes. Git is asked for commits and trees, given blobs, and told to move one
branch from the commit that was seen to the new one; see decision 0137.
"""

from meshctl.publish.branch import Branch, Published, branch_named, publish, require_folder
from meshctl.publish.commit import Committed, Publication, commit
from meshctl.publish.record import Record
from meshctl.publish.source import Source, source_at

__all__ = [
    "Branch",
    "Committed",
    "Publication",
    "Published",
    "Record",
    "Source",
    "branch_named",
    "commit",
    "publish",
    "require_folder",
    "source_at",
]
