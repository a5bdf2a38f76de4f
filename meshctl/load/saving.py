"""The user's own files changed in place: whole or not at all, and only as they were read."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from meshctl.diagnostics import Finding, UsageError
from meshctl.load.edits import EditRefusedError
from meshctl.load.text import decode
from meshctl.load.worktree import read_regular

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_own(name: str, text: str) -> bytes:
    """The bytes of the file ``name``, whose ``text`` was read before.

    Raises EditRefusedError for what must not be replaced, links, and UsageError where it holds something else now.
    """
    try:
        file = read_regular(name, name)
        status = Path(name).lstat()
    except OSError as error:
        link = "the file is a symbolic link: fix the one that it leads to"
        raise EditRefusedError(link if Path(name).is_symlink() else f"{error.strerror}") from None
    if isinstance(file, Finding):
        raise EditRefusedError(file.message)
    if status.st_nlink > 1:
        raise EditRefusedError("the file has a second name (a hard link), which would keep the old content")
    if decode(file.content, name) != text:
        raise UsageError(f"{name}: it was changed meanwhile; nothing was fixed")
    return file.content


def encode(text: str, before: bytes) -> bytes:
    """``text`` as the content of a file that held ``before``."""
    return (_BYTE_ORDER_MARK if before.startswith(_BYTE_ORDER_MARK) else b"") + text.encode()


def save(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
    """Replace the contents of files. All are written beside the old ones before the first takes its place.

    Raises UsageError, with all files as they were, when one of them is not what it was ``before``.
    """
    temporary: dict[str, str] = {}
    try:
        for name, content in after.items():
            temporary[name] = _beside(name, content)
        for name, content in before.items():
            if Path(name).is_symlink() or Path(name).read_bytes() != content:
                raise UsageError(f"{name}: it was changed meanwhile; nothing was fixed")
        for name in after:
            os.replace(temporary[name], name)  # noqa: PTH105 - the name is not a Path's
            del temporary[name]
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    finally:
        for each in temporary.values():
            with contextlib.suppress(FileNotFoundError):
                Path(each).unlink()


def _beside(name: str, content: bytes) -> str:
    """A file of the same mode and owner in the same folder. Its name begins with a dot, so it is never a part of the spec."""
    status = Path(name).stat()
    temporary = Path(name).with_name(f".{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
            file.write(content)
            file.flush()
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink()
        raise
    return str(temporary)
