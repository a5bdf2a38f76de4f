"""Folders that hold keys: they appear whole or not at all, and what a killed run left of one is found again."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from meshctl.pki import files


class Content(Struct, frozen=True):
    """What one file of a new folder holds, and its mode."""

    data: bytes
    mode: int


class OccupiedError(Exception):
    """There is something of that name which is not an empty folder."""


def make(inside: int, name: str, contents: Mapping[str, Content]) -> None:
    """Make the folder ``name`` (mode 0700) with these files, in their order, by one rename.

    The caller holds the lock of ``inside``. Raises OSError and OccupiedError.
    """
    sweep(inside, name, contents)
    staged = files.staging_name(name, secrets.token_hex(8))
    os.mkdir(staged, 0o700, dir_fd=inside)
    try:
        with _opened(inside, staged) as descriptor:
            for each, content in contents.items():
                files.write(descriptor, each, content.data, content.mode)
            os.fsync(descriptor)
        _appear(inside, staged, name)
    except BaseException:
        shutil.rmtree(staged, dir_fd=inside)
        raise
    os.fsync(inside)


def sweep(inside: int, name: str, known: Collection[str]) -> None:
    """Remove what killed runs left of :func:`make`: folders of our naming, closed to others, with nothing else in them.

    The caller holds the lock under which they are made, so nobody else is about to rename one. Raises OSError.
    """
    ours = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.tmp")
    for each in os.listdir(inside):
        if ours.fullmatch(each) and _is_left(inside, each, known):
            shutil.rmtree(each, dir_fd=inside)


def _appear(inside: int, staged: str, name: str) -> None:
    try:
        # Renaming a folder replaces an empty one at most.
        os.rename(staged, name, src_dir_fd=inside, dst_dir_fd=inside)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise OccupiedError from error


def _is_left(inside: int, name: str, known: Collection[str]) -> bool:
    found = os.stat(name, dir_fd=inside, follow_symlinks=False)
    mine = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
    if not stat.S_ISDIR(found.st_mode) or not mine:
        return False
    with _opened(inside, name) as descriptor:
        names = os.listdir(descriptor)  # noqa: PTH208 - a path could be another folder's by now
        return all(each in known and files.is_file(descriptor, each) for each in names)


@contextlib.contextmanager
def _opened(inside: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
