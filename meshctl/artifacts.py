"""Files that a build makes, where they stand, and how they reach the disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from meshctl.diagnostics import UsageError

CERTIFICATE = "tls/cert.pem"
"""Leaf and issuing CA, leaf first. Paths are relative to a bundle."""

PRIVATE_KEY = "tls/cert.pem.key"
"""Mode 0600. The name is the one under which HAProxy finds it beside the certificate."""

TRUST_BUNDLE = "tls/ca.pem"
"""The roots (and issuing CAs) that a peer's certificate must lead to."""

REVOCATION_LISTS = "tls/crl.pem"
"""Where the mesh asks for it: the list of revoked certificates of every CA in the trust bundle."""

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a bundle. ``path`` is relative to the bundle, with ``/``; bytes are deterministic."""

    path: str
    content: bytes
    executable: bool = False

    @property
    def sha256(self) -> str:
        """The digest that the manifest records."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Written:
    """What a write changed, paths relative to the output folder and sorted."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that have new content."""
        return tuple(sorted((*self.created, *self.updated)))


def own_files(root: Path, mesh: str = "", manifest: str = MANIFEST) -> Mapping[str, str]:
    """Path to digest of every file that the ``manifest`` in ``root`` claims; empty without one.

    Raises UsageError where there is a manifest that meshctl did not write, or one of another mesh than
    ``mesh``.
    """
    not_ours = UsageError(f"{root / manifest} is not a manifest of meshctl's; choose another folder")
    try:
        # A pipe would never end.
        if stat.S_ISFIFO((root / manifest).stat().st_mode):
            raise not_ours
        content = (root / manifest).read_bytes()
    except FileNotFoundError:
        return {}
    try:
        found = orjson.loads(content)
        if found["schemaVersion"] != MANIFEST_VERSION:
            raise UsageError(
                f"{root / manifest} was written by another version of meshctl; choose another folder"
            )
        if mesh and found["mesh"] != mesh:
            raise UsageError(
                f"{root} holds the mesh {found['mesh']!r}, and building {mesh!r} there would remove it; "
                "choose another folder, or remove this one first"
            )
        digests = {str(path): str(entry["sha256"]) for path, entry in found["files"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise not_ours from None
    if not all(map(_can_be_a_path, digests)):
        raise not_ours
    return digests


def _can_be_a_path(text: str) -> bool:
    """On Linux, below a root that is not too long itself."""
    return (
        text.isprintable()
        and len(text) <= 1024
        and all(len(each.encode()) <= 255 for each in text.split("/"))
    )


class Plan:
    """What it takes to bring ``root`` to hold exactly ``artifacts`` of ours.

    Files that an earlier build of ours made and this one does not are removed; files of others never
    are, and one that stands in the way is a UsageError. So is a symbolic link below ``root``. Making a
    plan only reads. ``scope`` limits it to folders; ours outside of them stay as they are. A folder that
    holds another mesh than ``mesh`` is a UsageError.
    """

    def __init__(
        self,
        root: Path,
        artifacts: Iterable[Artifact],
        scope: tuple[str, ...] = (),
        mesh: str = "",
        manifest: str = MANIFEST,
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._wanted = {each.path: each for each in artifacts}
        self._ours = own_files(root, mesh, manifest)
        self._kept = {
            path: digest
            for path, digest in self._ours.items()
            if path not in self._wanted and scope and not path.startswith(scope)
        }
        self._stale = sorted(self._ours.keys() - self._wanted.keys() - self._kept.keys())
        for path in self._stale:
            _refuse_links(root, path)
            if (root / path).is_dir():
                raise UsageError(f"{root / path} is not a regular file; remove it or choose another folder")
        self._state = {path: _compare(root, each, self._ours) for path, each in self._wanted.items()}

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths of files that will be new or have new content."""
        return tuple(sorted(path for path, how in self._state.items() if how != "equal"))

    def apply(self, manifest: Mapping[str, object]) -> Written:
        """Do it: each file is replaced whole by a rename, equal ones are not touched, manifest last."""
        folders: set[str] = set()
        for path, how in self._state.items():
            if how != "equal":
                _replace(self._root, self._wanted[path], folders)
        for path in self._stale:
            _remove(self._root, path)
        self._write_manifest(manifest, folders)
        return Written(
            created=tuple(sorted(path for path, how in self._state.items() if how == "new")),
            updated=tuple(sorted(path for path, how in self._state.items() if how == "other")),
            removed=tuple(self._stale),
            unchanged=sum(how == "equal" for how in self._state.values()),
        )

    def _write_manifest(self, manifest: Mapping[str, object], folders: set[str]) -> None:
        digests = self._kept | {path: each.sha256 for path, each in self._wanted.items()}
        files = {path: {"sha256": digests[path]} for path in sorted(digests)}
        content = orjson.dumps(
            {"schemaVersion": MANIFEST_VERSION, **manifest, "files": files}, option=orjson.OPT_INDENT_2
        )
        own = Artifact(self._manifest, content + b"\n")
        if _compare(self._root, own, {self._manifest: ""}) != "equal":
            _replace(self._root, own, folders)


def _compare(root: Path, artifact: Artifact, ours: Mapping[str, str]) -> str:
    """``new``, ``equal`` or ``other`` (ours, to be replaced)."""
    _refuse_links(root, artifact.path)
    where = os.path.join(root, artifact.path)  # noqa: PTH118 - pathlib costs as much as the read here
    try:
        descriptor = os.open(where, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return "new"
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
    return "equal" if equal else "other"


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


def _replace(root: Path, artifact: Artifact, folders: set[str]) -> None:
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
        finally:
            os.close(descriptor)
        os.replace(temporary, where)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def write_file(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` whole, by a rename; where a symbolic link stands, the file that it leads to."""
    target = Path(os.path.realpath(path))
    _replace(target.parent, Artifact(target.name, content), set())


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
