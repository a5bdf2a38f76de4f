"""The files of a spec from disk: regular files of bounded size that do not leave the spec's folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from meshctl.cache import premises
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, UsageError
from meshctl.load import limits
from meshctl.load.files import (
    ENVIRONMENTS,
    SourceFile,
    SpecFiles,
    is_spec_file,
    is_spec_folder,
    is_test_file,
    shown,
    source_file,
)
from meshctl.load.text import too_large

_FOLDER_LINK = "a symbolic link to a folder is not followed; it could lead out of the spec, or in circles"


def read(location: str) -> SpecFiles:
    """The file or the folder at ``location``, which may itself be a symbolic link.

    Raises UsageError when it cannot be opened or is neither file nor folder.
    """
    try:
        premises.link(location, os.path.realpath(location))
        if Path(location).is_dir():
            return _Folder(location).read()
        if is_test_file(Path(location).name) and Path(location).exists():
            beside = Path(location).parent
            raise UsageError(
                f"{shown(location)}: this is a file of route tests; name the spec that it stands beside, such as {shown(str(beside))}"
            )
        file = read_regular(location, os.path.realpath(location))
    except OSError as error:
        raise UsageError(f"{shown(location)}: {error.strerror}") from error
    if isinstance(file, Finding):
        if file.slug == "too-large":
            return SpecFiles((), (file,))
        raise UsageError(f"{shown(location)}: {file.message}")
    return SpecFiles((file,), (), str(Path(location).parent))


def read_environments(folder: str) -> SpecFiles:
    """The files in ``environments/`` below ``folder``; none when there is no such folder."""
    location = ENVIRONMENTS if folder in ("", ".") else f"{folder.rstrip('/')}/{ENVIRONMENTS}"
    if Path(location).is_symlink():
        premises.unknown()
        return SpecFiles((), (_unreadable(location, _FOLDER_LINK),), location)
    premises.link(location, os.path.realpath(location))
    if not Path(location).is_dir():
        premises.absent(location)
        return SpecFiles((), (), location)
    return _Folder(location, each_once=False).read()


def read_tests(location: str) -> SpecFiles:
    """The files of route tests below the folder at ``location``, or in the same folder as the file there."""
    if Path(location).is_dir():
        return _Folder(location, wanted=is_test_file).read()
    beside = str(Path(location).parent)
    return _Folder(beside, wanted=is_test_file, deep=False).read()


def read_beside(location: str) -> SpecFiles:
    """The files in the same folder as the file at ``location`` that a spec of the whole folder has; none of a folder."""
    if Path(location).is_dir():
        return SpecFiles((), (), location)
    return _Folder(str(Path(location).parent), deep=False).read()


def read_named(folder: str, path: str) -> SourceFile | Finding:
    """The file at ``path`` below ``folder``."""
    return _Folder(folder or ".").file(path)


def read_regular(name: str, path: str, limit: int = limits.FILE_BYTES) -> SourceFile | Finding:
    """The regular file at ``path``, called ``name``; raises OSError when it cannot be opened."""
    # O_NONBLOCK: opening a FIFO must not wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return _unreadable(name, "not a regular file")
        content = _read_all(descriptor, limit) if status.st_size <= limit else None
    finally:
        os.close(descriptor)
    if content is None or len(content) > limit:
        premises.unknown()
        return too_large(shown(name), limit)
    premises.file(path, content)
    return source_file(name, content)


def _read_all(descriptor: int, limit: int) -> bytes:
    parts = []
    left = limit + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _unreadable(name: str, message: str) -> Finding:
    premises.unknown()
    return finding("unreadable-file", Position(shown(name), 1, 1), message)


class _Folder:
    """The walk over one folder, and with ``deep`` those below it.

    With ``each_once`` a file that links name, too, is read under one name.
    """

    def __init__(
        self,
        location: str,
        *,
        each_once: bool = True,
        wanted: Callable[[str], bool] = is_spec_file,
        deep: bool = True,
    ) -> None:
        self._location = location
        self._each_once = each_once
        self._wanted = wanted
        self._deep = deep
        self._prefix = "" if location == "." else location.rstrip("/") + "/"
        self._root = os.path.realpath(location)
        self._findings: list[Finding] = []

    def read(self) -> SpecFiles:
        files: list[SourceFile] = []
        seen: set[str] = set()
        size = 0
        paths = sorted(self._paths())
        if len(paths) > limits.FILES:
            return SpecFiles((), (self._too_much(f"{limits.FILES:,} files"),), self._location)
        for path in paths:
            real = self._inside(path)
            if real is None or (self._each_once and real in seen):
                continue
            seen.add(real)
            file = self._file(path, real)
            if isinstance(file, Finding):
                self._findings.append(file)
                continue
            size += len(file.content)
            if size > limits.SPEC_BYTES:
                self._findings.append(self._too_much(f"{limits.SPEC_BYTES >> 20} MiB"))
                break
            files.append(file)
        return SpecFiles(tuple(files), tuple(self._findings), self._location)

    def file(self, path: str) -> SourceFile | Finding:
        """The one file at ``path``, which need not be one of the spec's."""
        real = self._inside(path)
        return self._findings[0] if real is None else self._file(path, real)

    def _paths(self) -> list[str]:
        """The paths below the folder, with ``/``, of all that is named like a file of the spec."""
        found: list[str] = []
        folders = [""]
        while folders and len(found) <= limits.FILES:
            folder = folders.pop()
            premises.folder(f"{self._root}/{folder}")
            try:
                with os.scandir(f"{self._root}/{folder}") as entries:
                    for entry in entries:
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(path)
                        elif entry.is_symlink() and Path(entry.path).is_dir():
                            self._refuse_folder_link(path)
                        elif self._wanted(path):
                            found.append(path)
                        elif entry.is_symlink() and self._counts(path):
                            # To a folder by the next time, and then it would be refused.
                            premises.unknown()
            except OSError as error:
                self._findings.append(_unreadable(self._name(folder), f"{error.strerror}"))
            folders = [each for each in folders if self._counts(each)]
        return found

    def _counts(self, folder: str) -> bool:
        return self._deep and is_spec_folder(folder.split("/"))

    def _refuse_folder_link(self, path: str) -> None:
        if self._counts(path):
            self._findings.append(_unreadable(self._name(path), _FOLDER_LINK))
        elif self._wanted(path):
            # To a file by the next time, and then it would be read.
            premises.unknown()

    def _inside(self, path: str) -> str | None:
        """The real path of ``path``, or None where it leaves the folder."""
        real = os.path.realpath(f"{self._root}/{path}")
        premises.link(f"{self._root}/{path}", real)
        if os.path.commonpath((real, self._root)) == self._root:
            return real
        self._findings.append(_unreadable(self._name(path), "a symbolic link leads out of the spec's folder"))
        return None

    def _file(self, path: str, real: str) -> SourceFile | Finding:
        try:
            return read_regular(self._name(path), real)
        except OSError as error:
            return _unreadable(self._name(path), f"{error.strerror}")

    def _name(self, path: str) -> str:
        return f"{self._prefix}{path}"

    def _too_much(self, what: str) -> Finding:
        at = Position(shown(self._location), 1, 1)
        return finding("too-large", at, f"the spec is larger than {what}")
