"""Files that a build makes, where they stand, and how they reach the disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import stat
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from pathlib import Path

import orjson
from msgspec import Struct

from meshctl import manifest
from meshctl.cache.outputs import start
from meshctl.diagnostics import UsageError
from meshctl.manifest import MANIFEST, File

CERTIFICATE = "tls/cert.pem"
"""Leaf and issuing CA, leaf first. Paths are relative to a bundle."""

_UNFINISHED = ".unfinished"
"""What the manifest's name gets where new files are being written, for it comes last."""
_NO_DIGEST = "0" * 64

PRIVATE_KEY = "tls/cert.pem.key"
"""Mode 0600. The name is the one under which HAProxy finds it beside the certificate."""

TRUST_BUNDLE = "tls/ca.pem"
"""The roots (and issuing CAs) that a peer's certificate must lead to."""

REVOCATION_LISTS = "tls/crl.pem"
"""Where the mesh asks for it: the list of revoked certificates of every CA in the trust bundle."""


class Artifact(Struct, frozen=True):
    """One file of a bundle. ``path`` is relative to the bundle, with ``/``; bytes are deterministic."""

    path: str
    content: bytes
    executable: bool = False

    @property
    def sha256(self) -> str:
        """The digest that the manifest records."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def file(self) -> File:
        """What the manifest says of it."""
        return File(self.sha256, self.executable)


class Document(Struct, frozen=True):
    """A file of YAML before it is written down, with the comments above it, one a line."""

    path: str
    comments: tuple[str, ...]
    content: Mapping[str, object]


class Written(Struct, frozen=True):
    """What a write changed, paths relative to the output folder and sorted."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that have new content."""
        return tuple(sorted((*self.created, *self.updated)))

    def again(self) -> Written:
        """What the same write would change now."""
        return Written((), (), (), self.unchanged + len(self.created) + len(self.updated))


def render_manifest(said: Mapping[str, object], files: Mapping[str, File]) -> bytes:
    """A manifest that says ``said``, and of ``files`` what each is; the same bytes for the same words."""
    listed = {path: _entry(files[path]) for path in sorted(files)}
    document = {"schemaVersion": manifest.VERSION, **said, "files": listed}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def own_files(root: Path, mesh: str = "", name: str = MANIFEST) -> Mapping[str, File]:
    """What the manifest ``name`` in ``root`` says of every file that it claims; empty without one.

    Raises ManifestError where there is one that meshctl did not write, UsageError for one of another mesh
    than ``mesh``, and OSError.
    """
    where = root / name
    try:
        found = manifest.read_document(where)
        files = manifest.files(where, found)
    except FileNotFoundError:
        return {}
    except manifest.ManifestError as error:
        raise manifest.ManifestError(f"{error}; choose another folder") from None
    if mesh and found.get("mesh") != mesh:
        raise UsageError(
            f"{root} holds the mesh {found.get('mesh')!r}, and building {mesh!r} there would remove it; "
            "choose another folder, or remove this one first"
        )
    return files


class Plan:
    """What it takes to bring ``root`` to hold exactly ``artifacts`` of ours.

    Files that an earlier build of ours made and this one does not are removed; files of others never
    are, and one that stands in the way is a UsageError. So is a symbolic link below ``root``. Making a
    plan only reads. ``scope`` limits it to folders; ours outside of them stay as they are. A folder that
    holds another mesh than ``mesh`` is a UsageError. ``standing`` are files of ours that are known to be as they are to be, and
    not among ``artifacts``.
    """

    def __init__(
        self,
        root: Path,
        artifacts: Iterable[Artifact],
        scope: tuple[str, ...] = (),
        mesh: str = "",
        manifest: str = MANIFEST,
        standing: Collection[str] = (),
    ) -> None:
        self._root = root
        self._name = manifest
        self._wanted = {each.path: each for each in artifacts}
        self._ours = own_files(root, mesh, manifest)
        claimed = own_files(root, mesh, manifest + _UNFINISHED).keys() - self._ours.keys()
        claimed = {each for each in claimed if os.path.lexists(root / each)}
        self._left = {each for each in claimed - self._wanted.keys() if scope and not each.startswith(scope)}
        """Of a write that was cut short, and no part of this one."""
        self._kept = {
            path: file
            for path, file in self._ours.items()
            if path not in self._wanted and (path in standing or (scope and not path.startswith(scope)))
        }
        self._standing = len(standing)
        ours = self._ours.keys() | claimed
        self._stale = sorted(ours - self._wanted.keys() - self._kept.keys() - self._left)
        for path in self._stale:
            _refuse_links(root, path)
            if (root / path).is_dir():
                raise UsageError(f"{root / path} is not a regular file; remove it or choose another folder")
        self._state: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        """By path, as which file (:func:`meshctl.cache.outputs.start`) each was found equal or was written."""
        for path, each in self._wanted.items():
            self._state[path], self.seen[path] = _compare(root, each, ours)

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths of files that will be new or have new content."""
        return tuple(sorted(path for path, how in self._state.items() if how != "equal"))

    def apply(self, said: Mapping[str, object]) -> Written:
        """Do it: each file is replaced whole by a rename, equal ones are not touched, the manifest, which says ``said``, last.

        Ctrl-C, and what else asks to end, waits until all of it is done.
        """
        with _uninterrupted():
            return self._apply(said)

    def _apply(self, said: Mapping[str, object]) -> Written:
        folders: set[str] = set()
        new = {path for path, how in self._state.items() if how == "new"}
        if new:
            # Or a write that is cut short would leave files that are in the way of the next one.
            self._claim(said, {*self._wanted, *self._stale, *self._left}, folders)
        for path, how in self._state.items():
            if how != "equal":
                self.seen[path] = _replace(self._root, self._wanted[path], folders)
        for path in self._stale:
            _remove(self._root, path)
        self._write_manifest(said, folders)
        if self._left:
            self._claim(said, self._left, folders)
        else:
            (self._root / (self._name + _UNFINISHED)).unlink(missing_ok=True)
        return Written(
            created=tuple(sorted(new)),
            updated=tuple(sorted(path for path, how in self._state.items() if how == "other")),
            removed=tuple(self._stale),
            unchanged=self._standing + sum(how == "equal" for how in self._state.values()),
        )

    def _claim(self, said: Mapping[str, object], paths: Iterable[str], folders: set[str]) -> None:
        """Say that ``paths`` are ours, whatever is in them by now."""
        files = {path: File(_NO_DIGEST) for path in paths}
        mesh = {"mesh": said["mesh"]} if "mesh" in said else {}
        _replace(self._root, Artifact(self._name + _UNFINISHED, render_manifest(mesh, files)), folders)

    def _write_manifest(self, said: Mapping[str, object], folders: set[str]) -> None:
        files = self._kept | {path: each.file for path, each in self._wanted.items()}
        own = Artifact(self._name, render_manifest(said, files))
        how, self.seen[self._name] = _compare(self._root, own, {self._name})
        if how != "equal":
            self.seen[self._name] = _replace(self._root, own, folders)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _entry(file: File) -> dict[str, object]:
    return {"sha256": file.sha256, **({"executable": True} if file.executable else {})}


def _compare(root: Path, artifact: Artifact, ours: Container[str]) -> tuple[str, str]:
    """``new``, ``equal`` or ``other`` (ours, to be replaced), and as which file it was found."""
    _refuse_links(root, artifact.path)
    where = os.path.join(root, artifact.path)  # noqa: PTH118 - pathlib costs as much as the read here
    try:
        descriptor = os.open(where, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return "new", ""
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{where} is not a regular file; remove it or choose another folder")
        equal = (
            status.st_size == len(artifact.content)
            and os.read(descriptor, status.st_size + 1) == artifact.content
            and bool(status.st_mode & stat.S_IXUSR) == artifact.executable
        )
    finally:
        os.close(descriptor)
    if not equal and artifact.path not in ours:
        raise UsageError(
            f"{where} is in the way and was not made by meshctl; remove it or choose another folder"
        )
    return "equal" if equal else "other", start(status)


def _refuse_links(root: Path, path: str) -> None:
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"{path!r} in the manifest leads outside the output folder")
    where = str(root)
    for part in parts[:-1]:
        where = f"{where}/{part}"
        try:
            mode = os.lstat(where).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            raise UsageError(f"{where} is not a folder; meshctl does not write through links")


def _replace(root: Path, artifact: Artifact, folders: set[str]) -> str:
    """As which file it stands there now."""
    where = os.path.join(root, artifact.path)  # noqa: PTH118
    folder = where.rpartition("/")[0]
    if folder not in folders:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        folders.add(folder)
    temporary = f"{where}.{os.urandom(4).hex()}.tmp"
    mode = 0o755 if artifact.executable else 0o644
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        try:
            view = memoryview(artifact.content)
            while view:
                view = view[os.write(descriptor, view) :]
            written = start(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        os.replace(temporary, where)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    return written


def write_file(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` whole, by a rename; where a symbolic link stands, the file that it leads to.

    Raises OSError, which names ``path``.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target.parent, Artifact(target.name, content), set())
    except OSError as error:
        # Of the name that it has until the rename nobody has heard.
        error.filename, error.filename2 = str(path), None
        raise


def _remove(root: Path, path: str) -> None:
    where = root / path
    with contextlib.suppress(FileNotFoundError):
        where.unlink()
    for parent in where.parents:
        if parent == root:
            break
        try:
            parent.rmdir()
        except OSError:
            break
