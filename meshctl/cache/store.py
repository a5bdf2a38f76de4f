"""The folder of entries: only its owner's, bounded, and never believed where a byte is other than it was written."""

from __future__ import annotations

import os
import stat
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 256 << 20
"""Bytes of all entries together; the ones that were not used for the longest time go first."""
ENTRY = 64 << 20
"""Bytes of one: six times what the outputs of 10,000 services need."""

_MARK = b"meshctl cache 1\n"
_DIGEST = 64
_TEMPORARY = ".tmp"
_PRIVATE = 0o700


def folder(environment: Mapping[str, str], work: str) -> str | None:
    """Where entries are kept, whether or not it is there yet: `$XDG_CACHE_HOME/meshctl`, or `~/.cache/meshctl`.

    None where nobody has a home, where MESHCTL_NO_CACHE is set, or where it would be in the repository that the folder ``work``
    is of: who can commit, or restore the cache of a CI job, must not say what a build does.
    """
    if environment.get("MESHCTL_NO_CACHE"):
        return None
    base = environment.get("XDG_CACHE_HOME", "")
    # Relative ones are to be ignored, says the XDG Base Directory Specification.
    if not base.startswith("/"):
        home = environment.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    found = os.path.realpath(f"{base}/meshctl")
    repository = _repository(os.path.realpath(work))
    inside = repository is not None and f"{found}/".startswith(f"{repository.rstrip('/')}/")
    return None if inside else found


def _repository(folder: str) -> str | None:
    while not os.path.lexists(f"{folder}/.git"):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


class Store:
    """The entries in one folder. Whatever goes wrong with one, it is as if it were not there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """What was put under ``key``, to the byte."""
        try:
            self._require_own()
            path = self._path(key)
            content = _read(path)
            os.utime(path)
        except OSError:
            return None
        head = len(_MARK) + _DIGEST + 1
        if content[: len(_MARK)] != _MARK or content[head - 1 : head] != b"\n":
            return None
        body = content[head:]
        return body if content[len(_MARK) : head - 1] == _digest(key, body) else None

    def put(self, key: str, body: bytes) -> bool:
        """Keep ``body`` under ``key``; False where that cannot be. Other runs see the old entry or the new one, never a part."""
        if len(body) > ENTRY:
            return False
        try:
            os.makedirs(self._folder, mode=_PRIVATE, exist_ok=True)
            self._require_own()
            self._make_room(len(body))
            _write(self._path(key), _MARK + _digest(key, body) + b"\n" + body)
        except OSError:
            return False
        return True

    def _path(self, key: str) -> str:
        return f"{self._folder}/{sha256(key.encode(errors='surrogateescape')).hexdigest()}"

    def _require_own(self) -> None:
        """Raises PermissionError where somebody else could have written an entry."""
        status = os.lstat(self._folder)
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not is_ours or stat.S_IMODE(status.st_mode) & 0o077:
            raise PermissionError(self._folder)

    def _make_room(self, size: int) -> None:
        with os.scandir(self._folder) as entries:
            found = [(each.stat(follow_symlinks=False), each.path) for each in entries]
        total = size + sum(status.st_size for status, _ in found)
        if total <= LIMIT:
            return
        for status, path in sorted(found, key=lambda each: each[0].st_mtime_ns):
            os.unlink(path)
            total -= status.st_size
            # To the half, so that not every run has to look for room.
            if total <= LIMIT // 2:
                break


def _digest(key: str, body: bytes) -> bytes:
    """Of both, so that entries that were exchanged are none."""
    found = sha256(b"%d " % len(key))
    found.update(key.encode(errors="surrogateescape"))
    found.update(body)
    return found.hexdigest().encode()


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > 2 * ENTRY:
            raise PermissionError(path)
        return os.read(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.urandom(4).hex()}{_TEMPORARY}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
