"""What an answer rests on: the files that were read, the folders that were looked through, and what was not there.

Whoever reads notes it here, as long as somebody listens; what nobody could look at again later is noted as that.
"""

from __future__ import annotations

import os
import stat
from contextvars import ContextVar
from hashlib import sha256

from meshctl.cache.marks import is_settled, mark

_FILE, _FOLDER, _LINK, _ABSENT = "file", "folder", "link", "absent"
_SEPARATOR = "\0"


class Premises:
    """What was noted; ``whole`` is False where something cannot be looked at again, so that nothing may rest on it."""

    def __init__(self) -> None:
        self.whole = True
        self._noted: dict[str, str] = {}

    def note(self, what: str, path: str, how: str) -> None:
        """Note it; two answers to one question make the whole worthless."""
        key = f"{what}{_SEPARATOR}{path}"
        if self._noted.setdefault(key, how) != how or "\n" in path or _SEPARATOR in path:
            self.whole = False

    def render(self) -> str:
        """One line for each, for :func:`hold`."""
        return "\n".join(f"{key}{_SEPARATOR}{how}" for key, how in sorted(self._noted.items()))


_listening: ContextVar[Premises | None] = ContextVar("premises", default=None)


def listen() -> Premises:
    """What this run notes from here on."""
    premises = Premises()
    _listening.set(premises)
    return premises


def file(path: str, content: bytes) -> None:
    """The file at ``path``, which goes through no link, was read."""
    if premises := _listening.get():
        premises.note(_FILE, path, _content(content))


def link(path: str, real: str) -> None:
    """What is called ``path`` is really at ``real``."""
    if premises := _listening.get():
        premises.note(_LINK, path, _where(real))


def folder(path: str) -> None:
    """The names in the folder at ``path`` are about to be listed."""
    if premises := _listening.get():
        try:
            status = os.stat(path)
        except OSError:
            premises.whole = False
            return
        premises.whole &= is_settled(status)
        premises.note(_FOLDER, path, mark(status))


def absent(path: str) -> None:
    """There is nothing at ``path``."""
    if premises := _listening.get():
        premises.note(_ABSENT, path, "")


def unknown() -> None:
    """Something was looked at that cannot be looked at again as quickly, such as git."""
    if premises := _listening.get():
        premises.whole = False


def hold(rendered: str) -> bool:
    """Whether all of it is still so. Raises OSError and ValueError where it cannot be told."""
    for line in rendered.split("\n") if rendered else ():
        what, path, how = line.split(_SEPARATOR)
        match what:
            case "file":
                is_so = _content(_read(path)) == how
            case "folder":
                is_so = mark(os.stat(path)) == how
            case "link":
                is_so = _where(os.path.realpath(path)) == how
            case "absent":
                is_so = not os.path.lexists(path)
            case _:
                raise ValueError(what)
        if not is_so:
            return False
    return True


def _content(content: bytes) -> str:
    return sha256(content).hexdigest()


def _where(real: str) -> str:
    # Not the path itself: it may hold whatever separates the parts of a line.
    return sha256(real.encode(errors="surrogateescape")).hexdigest()


def _read(path: str) -> bytes:
    # O_NONBLOCK: a pipe that took the file's place must not hang.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(path)
        parts = []
        while part := os.read(descriptor, 1 << 24):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
