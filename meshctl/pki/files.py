"""Files that hold keys: never through a symbolic link, never half written, never readable by others."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

ROOT_CERTIFICATE = "root.pem"
ROOT_KEY = "root.key"
ISSUING_CERTIFICATE = "issuing.pem"
ISSUING_KEY = "issuing.key"
REVOCATION_LISTS = "crl.pem"
REGISTER = "issued.json"
IGNORE = ".gitignore"
IGNORE_ALL = b"*\n"

LIMIT = 256 * 1024
"""No PEM file of a bundle comes near this many bytes."""
LARGE = 64 * LIMIT
"""Of files that grow with the mesh."""

LINKED = "is a symbolic link; keys are not followed out of their folder"
"""What the errors here say instead of the system's words, which are others for a file and a folder."""

_STAGED = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe that somebody put there must not hang.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def folder(root: Path, *below: str, create: bool = False) -> Iterator[int]:
    """A descriptor of a folder, reached from ``root`` one name at a time, following no link.

    ``create`` makes the last one if it is missing. Raises OSError.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for count, name in enumerate(below, start=1):
            if create and count == len(below):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=descriptor)
            inner = _open(descriptor, name, _FOLDER)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def read(inside: int, name: str, *, private: bool = False, limit: int = LIMIT) -> bytes:
    """The content of a regular file. Raises OSError, also if a ``private`` one is open to others."""
    return _content(_open(inside, name, _READ), name, private=private, limit=limit)


def read_public(path: Path) -> bytes:
    """The content of a regular file without secrets, which may stand behind a link, as mounted files do. Raises OSError."""
    return _content(os.open(path, _READ & ~os.O_NOFOLLOW), path.name, private=False, limit=LARGE)


def _content(descriptor: int, name: str, *, private: bool, limit: int) -> bytes:
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{name} is not a regular file")
        if found.st_size > limit:
            raise OSError(f"{name} is larger than {limit} bytes")
        if private and stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(f"{name} can be read by others; its mode must be 0600")
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def write(inside: int, name: str, content: bytes, mode: int, *, durable: bool = True) -> None:
    """Make a new file with exactly this mode; ``durable`` waits for the disk. Raises OSError."""
    descriptor = os.open(name, _CREATE, mode, dir_fd=inside)
    try:
        os.fchmod(descriptor, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(inside: int, name: str, content: bytes, mode: int) -> None:
    """Put a file in the place of another by a rename, once it is on the disk. Raises OSError."""
    staged = staging_name(name, secrets.token_hex(8))
    try:
        write(inside, staged, content, mode)
        os.rename(staged, name, src_dir_fd=inside, dst_dir_fd=inside)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged, dir_fd=inside)
        raise
    os.fsync(inside)


def staging_name(name: str, mark: str) -> str:
    """What a file is called until a rename puts it in force; ``mark`` is 16 hexadecimal digits, of one run."""
    return f".{name}.{mark}.tmp"


def sweep(inside: int) -> None:
    """Remove what runs that were killed before their rename left behind: keys may be among it. Raises OSError.

    The caller holds the lock under which files are staged here, so nobody else is about to rename them.
    """
    for name in os.listdir(inside):
        if _STAGED.fullmatch(name) and is_file(inside, name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=inside)


@contextlib.contextmanager
def lock(inside: int) -> Iterator[None]:
    """One at a time for a folder, until the block ends."""
    fcntl.flock(inside, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(inside, fcntl.LOCK_UN)


def ignore_all(inside: int) -> None:
    """Keep everything in a folder out of git, unless somebody already said what to ignore there."""
    if not exists(inside, IGNORE):
        # By a rename: one that a killed run had left empty would ignore nothing, and stay.
        staged = staging_name(IGNORE, secrets.token_hex(8))
        write(inside, staged, IGNORE_ALL, 0o644, durable=False)
        os.rename(staged, IGNORE, src_dir_fd=inside, dst_dir_fd=inside)


def exists(inside: int, name: str) -> bool:
    """Whether there is anything of that name."""
    try:
        os.stat(name, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def refuse_link(inside: int, name: str, shown: str) -> None:
    """Raises OSError, with the name that people know, where a rename would replace a link that somebody made on purpose."""
    if is_link(inside, name):
        raise OSError(errno.ELOOP, LINKED, shown)


def refuse_irreplaceable(inside: int, name: str, shown: str) -> None:
    """Raises OSError as :func:`refuse_link` does, and where a folder is, which no rename of a file replaces."""
    refuse_link(inside, name, shown)
    if stat.S_ISDIR(_mode(inside, name)):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), shown)


def is_link(inside: int, name: str) -> bool:
    """Whether ``name`` is a symbolic link; False where there is nothing."""
    return stat.S_ISLNK(_mode(inside, name))


def is_file(inside: int, name: str) -> bool:
    """Whether ``name`` is a regular file, no link to one."""
    return stat.S_ISREG(_mode(inside, name))


def _mode(inside: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=inside, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _open(inside: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=inside)
    except OSError:
        refuse_link(inside, name, name)
        raise
