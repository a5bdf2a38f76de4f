"""Files and links that are whole and on the disk, or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes, mode: int) -> None:
    """Make a new file, and wait for the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a file in the place of another by a rename. Raises OSError."""
    with _staged(path.parent, path) as staged:
        write(staged, content, mode)


def point(path: Path, target: str, staging: Path) -> None:
    """Put a symbolic link to ``target`` in the place of whatever is at ``path``, by a rename from the folder ``staging``. Raises OSError."""
    with _staged(staging, path) as staged:
        staged.symlink_to(target)


def read(path: Path, limit: int) -> bytes:
    """A regular file, of ``limit`` bytes at most. Raises OSError."""
    # O_NONBLOCK: a pipe that somebody put there must not hang.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - of a descriptor
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            number = errno.EFBIG if stat.S_ISREG(status.st_mode) else errno.EINVAL
            raise OSError(number, os.strerror(number), str(path))
        return file.read(limit)


def leads(path: Path) -> str:
    """What the symbolic link at ``path`` says; empty where there is none."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _staged(folder: Path, path: Path) -> Iterator[Path]:
    # As those are named that the commands about certificates remove, after a run that was killed.
    staged = folder / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        yield staged
        staged.rename(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
