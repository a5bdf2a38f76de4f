"""What a folder holds beside what its manifest says. It only reads, follows no link, and opens no listed pipe."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from meshctl.manifest import CURRENT, MANIFEST, RELEASES, RUN, TLS, File, Manifest, through_current

KEY = ".key"
"""How the names of private keys end."""

# O_NONBLOCK: a pipe that somebody put there must not hang.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LARGEST = 64 << 20
"""Bytes. A file of a bundle is smaller by far, whatever the mesh."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as it was built; ``slug`` is one of the catalogue's."""

    slug: str
    path: str
    """Below the folder; empty for a bundle as a whole."""
    message: str
    bundle: str = ""
    """Its folder, empty for what is of the whole mesh."""


def beginning(path: Path, length: int) -> bytes:
    """The first bytes of a regular file. Raises OSError, for a pipe too, which it does not wait for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.read(descriptor, length)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Content:
    """What a listed file holds now."""

    data: bytes
    executable: bool


def content(root: Path, path: str, bundles: Collection[str]) -> Content | None:
    """The regular file that a manifest lists as ``path``, not behind links of others' making. None where there is none.

    Raises OSError, for a file that is too large, too.
    """
    where = released(root, path, bundles) or root / path
    if _real(where.parent) != _real(root) / where.parent.relative_to(root):
        return None
    try:
        descriptor = os.open(where, _READ)
    except FileNotFoundError:
        return None
    except OSError:
        if where.is_symlink():
            return None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(where))
        return Content(os.read(descriptor, _LARGEST), bool(status.st_mode & stat.S_IXUSR))
    finally:
        os.close(descriptor)


def released(root: Path, path: str, bundles: Collection[str]) -> Path | None:
    """The file of the current release that a listed file is a link to; None where it is no such link."""
    bundle = bundle_of(path, bundles)
    its = path.removeprefix(f"{bundle}/")
    releases = root / bundle / RELEASES
    try:
        if os.readlink(root / path) != through_current(its):  # noqa: PTH115 - the text of the link, which a path would tidy
            return None
        current = os.readlink(releases / CURRENT)  # noqa: PTH115 - the text of the link, which a path would tidy
    except OSError:
        return None
    if not bundle or "/" in current or current in ("", ".", ".."):
        return None
    found = releases / current / its
    # Its folders are no links either: else it would be whoever's file.
    try:
        where = os.path.realpath(found, strict=True)
    except OSError:
        return None
    return found if where == os.path.join(os.path.realpath(releases), current, its) else None  # noqa: PTH118 - texts of links, not paths


def _real(path: Path) -> Path:
    """Where a path leads, past all links. Path.resolve says of links in a circle that they are a bug."""
    return Path(os.path.realpath(path))


def bundle_of(path: str, bundles: Collection[str]) -> str:
    """The bundle that a path is in, or is; empty for none."""
    parts = path.split("/")
    return next((each for each in ("/".join(parts[:2]), parts[0]) if each in bundles), "")


def inspect(
    root: Path, manifest: Manifest, only: Collection[str] = (), claimed: Collection[str] = ()
) -> Iterator[Deviation]:
    """All that is wrong below ``root``, or in its bundles ``only``, in order of paths.

    Certificates and keys (``tls``) and the state of what runs (``run``) are in no manifest; of them the modes of keys
    are looked at. ``claimed`` are files outside of bundles that another manifest lists. At the top, names with a dot
    are left alone, in a bundle the releases of before.
    """
    chosen = set(only) or set(manifest.bundles)
    files = {
        path: file
        for path, file in manifest.files.items()
        if not only or bundle_of(path, manifest.bundles) in chosen
    }
    outside = {path for path in claimed if not bundle_of(path, manifest.bundles)}
    look = _Look(root, files, manifest.bundles, outside)
    if only:
        for each in sorted(chosen):
            look.reach(each)
    else:
        look.folder("")
    absent = look.absent_bundles(chosen)
    for each in absent:
        yield Deviation("missing-bundle", "", "the manifest has it, and the folder does not", each)
    for found in (*look.found, *look.missing(absent)):
        yield Deviation(found.slug, found.path, found.message, bundle_of(found.path, manifest.bundles))


@dataclass(slots=True)
class _Look:
    root: Path
    files: Mapping[str, File]
    bundles: Collection[str]
    claimed: set[str]
    found: list[Deviation] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _closed: list[str] = field(default_factory=list)
    """Folders that were not looked into, for a reason that is told."""
    _folders: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for path in (*self.files, *self.claimed, *(f"{each}/{TLS}" for each in self.bundles)):
            self._folders.update(str(each) for each in PurePosixPath(path).parents)

    def reach(self, path: str) -> None:
        """Look into one folder alone, unless a link leads there."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            place = "/".join(parts[:count])
            try:
                mode = os.lstat(self.root / place).st_mode
            except FileNotFoundError:
                return
            if not stat.S_ISDIR(mode):
                self._close(place, "replaced-file", "is not a folder")
                return
            self._mode(place, mode)
        self.folder(path)

    def folder(self, path: str) -> None:
        """Everything in a folder that a listed file is below."""
        try:
            with os.scandir(self.root / path) as entries:
                inside = sorted(entries, key=lambda each: each.name)
        except OSError as error:
            self._close(path, "not-known", f"cannot be read: {error.strerror}")
            return
        for entry in inside:
            self._entry(f"{path}/{entry.name}" if path else entry.name, entry, path)

    def _entry(self, path: str, entry: os.DirEntry[str], parent: str) -> None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if path in self.files:
            self._seen.add(path)
            self._file(path, self.files[path])
        elif parent in self.bundles and entry.name == TLS:
            self._keys(path)
        elif path in self._folders and is_folder:
            self._mode(path, entry.stat(follow_symlinks=False).st_mode)
            self.folder(path)
        elif path in self._folders and path not in self.claimed:
            self._close(path, "replaced-file", "is not a folder")
        elif not self._is_left_alone(path, entry.name, parent):
            self._tell(
                "extra-file",
                path,
                "is a folder that no build made" if is_folder else "is no file of this build",
            )

    def _is_left_alone(self, path: str, name: str, parent: str) -> bool:
        state = f"{bundle_of(path, self.bundles)}/{RUN}"
        return (
            path in self.claimed
            or path == MANIFEST
            or (not parent and name.startswith("."))
            or (parent in self.bundles and name == RELEASES)
            or (bool(bundle_of(path, self.bundles)) and (path == state or path.startswith(f"{state}/")))
        )

    def _file(self, path: str, file: File) -> None:
        try:
            descriptor = os.open(released(self.root, path, self.bundles) or self.root / path, _READ)
        except OSError as error:
            if (self.root / path).is_symlink():
                self._tell("replaced-file", path, "is a symbolic link")
            else:
                self._tell("not-known", path, f"cannot be read: {error.strerror}")
            return
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            self._tell("replaced-file", path, "is not a regular file")
            return
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - of a descriptor
            too_large = status.st_size > _LARGEST
            if too_large or hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                self._tell("edited-file", path, "is not what was built")
        if file.executable and not status.st_mode & stat.S_IXUSR:
            self._tell("wrong-mode", path, "may not be executed")
        self._mode(path, status.st_mode)

    def _keys(self, path: str) -> None:
        """Keys may stand behind links, as what is mounted into containers does."""
        try:
            keys = sorted(each for each in (self.root / path).iterdir() if each.name.endswith(KEY))
        except OSError as error:
            self._tell("not-known", path, f"cannot be read: {error.strerror}")
            return
        for key in keys:
            try:
                mode = key.stat().st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & 0o077:
                self._tell(
                    "wrong-mode",
                    f"{path}/{key.name}",
                    f"is a key, and others than its owner have rights to it ({mode & 0o777:04o})",
                )

    def _mode(self, path: str, mode: int) -> None:
        if mode & stat.S_IWOTH:
            self._tell("wrong-mode", path, f"can be written by everybody ({mode & 0o777:04o})")

    def _close(self, path: str, slug: str, message: str) -> None:
        self._closed.append(f"{path}/" if path else "")
        self._tell(slug, path or ".", message)

    def _tell(self, slug: str, path: str, message: str) -> None:
        self.found.append(Deviation(slug, path, message))

    def absent_bundles(self, chosen: Collection[str]) -> list[str]:
        """Those of which there is no file at all, and no telling why."""
        there = {bundle_of(path, self.bundles) for path in self._seen}
        return [
            each
            for each in sorted(set(chosen) - there)
            if not any(f"{each}/".startswith(closed) for closed in self._closed)
        ]

    def missing(self, absent: Collection[str]) -> Iterator[Deviation]:
        """Listed files that are not there; of a bundle that is not there at all none is told."""
        for path in sorted(self.files.keys() - self._seen):
            told = any(path.startswith(closed) for closed in self._closed)
            if not told and bundle_of(path, self.bundles) not in absent:
                yield Deviation("missing-file", path, "is missing")
