"""Whether git tracks what must never be in git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SECONDS = 60


def tracked(folder: Path) -> tuple[str, ...]:
    """Paths of files in or below ``folder`` that git tracks, or did until they were removed here.

    Empty outside a repository, and where git is missing or does not answer: a second lock beside the
    ``.gitignore`` in every folder of keys, not the only one.
    """
    target = folder.absolute()
    start = next(each for each in (target, *target.parents) if each.is_dir())
    # An untrusted repository's settings may name programs to run; listing the index needs none.
    command = (
        "git",
        "--no-pager",
        "--no-optional-locks",
        "--literal-pathspecs",
        "-c",
        "core.fsmonitor=false",
    )
    try:
        listed = subprocess.run(
            [*command, "ls-files", "-z", "--", os.fspath(target)],
            cwd=start,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ()
    return tuple(os.fsdecode(name) for name in listed.stdout.split(b"\0")[:-1])
