"""The manifest in a folder that meshctl wrote: what was built, and a digest of each file. Read with suspicion.

A deployed folder can be anybody's. Whatever stands in its manifest ends in a :class:`Manifest` that cannot lead out
of the folder, or in an error that says where.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from msgspec import Struct

from meshctl.diagnostics import UsageError

MANIFEST = "manifest.json"
"""That of a build. Other commands that write files have one of their own, with the same ``files``."""

VERSION: Final = 1
BYTES: Final = 64 << 20
"""Twenty times what a mesh of 1,000 services has."""

TLS = "tls"
RUN = "run"
UNLISTED: Final = (TLS, RUN)
"""Folders of a bundle that no manifest lists: certificates and keys, and the state of what runs."""

RELEASES: Final = ".releases"
"""Where `meshctl apply` keeps the releases of a bundle, beside links to the files of the current one."""
CURRENT: Final = "current"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[1-9][0-9]{0,4})")
_LABEL = re.compile(r"sha256:[0-9a-f]{64}")


_T = TypeVar("_T")


class ManifestError(UsageError):
    """There is a manifest, and it is not one that this meshctl can have written."""


class File(Struct, frozen=True):
    """What a file was when it was written."""

    sha256: str
    """64 hexadecimal digits."""
    executable: bool = False


class BundleEntry(Struct, frozen=True):
    """A sidecar's bundle. ``folder`` is relative to the manifest's, ``service`` or ``service/instance``."""

    folder: str
    proxy: str
    build: str
    """``sha256:…`` of the sidecar's resolved model."""
    admin: str = ""
    """Address and port (``127.0.0.1:15000``, ``[::1]:15000``) where `GET /build` is answered; empty where that is not written."""
    calls: tuple[str, ...] = ()
    """The services of the mesh that it calls."""


class Manifest(Struct, frozen=True):
    """All that is written in a build's manifest."""

    mesh: str
    meshctl: str
    environment: str
    """Empty where none was merged over the spec."""
    spec: str
    """``sha256:…`` of the files of the spec."""
    waivers: tuple[str, ...]
    proxies: Mapping[str, str]
    """The version of each proxy that the files are for."""
    bundles: Mapping[str, BundleEntry]
    files: Mapping[str, File]
    """By path, with ``/``, relative to the folder of the manifest."""

    def files_of(self, folder: str) -> dict[str, File]:
        """The files of one bundle, by path relative to it."""
        start = f"{folder}/"
        return {path.removeprefix(start): file for path, file in self.files.items() if path.startswith(start)}


def read(root: Path) -> Manifest:
    """The manifest of the build in ``root``.

    Raises ManifestError, UsageError where there is none, and OSError.
    """
    where = root / MANIFEST
    try:
        found = read_document(where)
    except FileNotFoundError:
        raise UsageError(
            f"{root} holds no {MANIFEST}, so it is not a folder that `meshctl build` wrote"
        ) from None
    return _Reader(where, found).manifest()


def locate(folder: Path) -> tuple[Path, str]:
    """The folder with the manifest that ``folder`` is of, and what of it ``folder`` is: empty for all of it, or a bundle.

    Where nobody has a manifest the answer is ``folder`` itself. Raises OSError.
    """
    if not (folder / MANIFEST).exists():
        # Path.resolve says of links in a circle that they are a bug.
        inside = Path(os.path.realpath(folder, strict=True))
        for root in inside.parents[:2]:
            if (root / MANIFEST).is_file():
                return root, inside.relative_to(root).as_posix()
    return folder, ""


def read_document(path: Path) -> dict[str, Any]:
    """The manifest of any command as JSON, its version looked at. Raises ManifestError and OSError."""
    # O_NONBLOCK: a pipe that somebody put there must not hang.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_ours(path, "it is not a file")
        if status.st_size > BYTES:
            raise _not_ours(path, f"it is larger than {BYTES >> 20} MiB")
        content = os.read(descriptor, BYTES)
    finally:
        os.close(descriptor)
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _not_ours(path, str(error)) from None
    if not isinstance(found, dict) or "schemaVersion" not in found:
        raise _not_ours(path, "it has no schemaVersion")
    if found["schemaVersion"] != VERSION:
        raise ManifestError(f"{path} was written by another version of meshctl")
    return found


def files(path: Path, document: Mapping[str, Any]) -> dict[str, File]:
    """The ``files`` of a manifest that was read from ``path``. Raises ManifestError."""
    return _Reader(path, document).files()


def _not_ours(path: Path, why: str) -> ManifestError:
    return ManifestError(f"{path} is not a manifest of meshctl's: {why}")


class _Reader:
    """Takes a document apart, and says by a JSON pointer what is wrong with it."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self._path = path
        self._document = document

    def manifest(self) -> Manifest:
        found = self._document
        environment = found.get("environment", "")
        waivers = self._typed(list, found, "waivers", "")
        proxies = self._typed(dict, found, "proxies", "")
        read = Manifest(
            mesh=self._text(found, "mesh", ""),
            meshctl=self._text(found, "meshctl", ""),
            environment=self._text(found, "environment", "") if environment else "",
            spec=self._label(found, "spec", ""),
            waivers=tuple(self._is_text(each, f"/waivers/{at}") for at, each in enumerate(waivers)),
            proxies={name: self._text(proxies, name, "/proxies") for name in proxies},
            bundles=self._bundles(),
            files=self.files(),
        )
        self._require_unlisted(read)
        return read

    def files(self) -> dict[str, File]:
        """Every path a path below the folder."""
        found = self._typed(dict, self._document, "files", "")
        return {path: self._file(path, entry) for path, entry in found.items()}

    def _file(self, path: str, entry: object) -> File:
        if why := _not_a_path(path):
            raise self._wrong(f"/files/{path}", why)
        if not isinstance(entry, dict):
            raise self._wrong(f"/files/{path}", "is not an object")
        digest, executable = entry.get("sha256"), entry.get("executable", False)
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self._wrong(f"/files/{path}/sha256", "is not a digest")
        if not isinstance(executable, bool):
            raise self._wrong(f"/files/{path}/executable", "is not true or false")
        return File(digest, executable)

    def _bundles(self) -> dict[str, BundleEntry]:
        return {
            folder: self._bundle(folder, entry)
            for folder, entry in self._typed(dict, self._document, "builds", "").items()
        }

    def _bundle(self, folder: str, entry: object) -> BundleEntry:
        at = f"/builds/{folder}"
        if why := _not_a_path(folder):
            raise self._wrong(at, why)
        if folder.count("/") > 1:
            raise self._wrong(at, "is not a service, or a service and an instance")
        if not isinstance(entry, dict):
            raise self._wrong(at, "is not an object")
        proxy = self._text(entry, "proxy", at)
        if proxy not in self._typed(dict, self._document, "proxies", ""):
            raise self._wrong(f"{at}/proxy", "is none of /proxies")
        return BundleEntry(
            folder,
            proxy,
            self._label(entry, "build", at),
            self._address(entry, at),
            self._calls(entry, at),
        )

    def _calls(self, entry: Mapping[str, Any], at: str) -> tuple[str, ...]:
        calls = self._typed(list, entry, "calls", at) if "calls" in entry else []
        return tuple(self._is_text(each, f"{at}/calls/{number}") for number, each in enumerate(calls))

    def _address(self, entry: Mapping[str, Any], at: str) -> str:
        if "admin" not in entry:
            return ""
        text = self._text(entry, "admin", at)
        if address_and_port(text) is None:
            raise self._wrong(f"{at}/admin", "is not an address and a port")
        return text

    def _require_unlisted(self, read: Manifest) -> None:
        """Whoever lists a key would have us compare it, or remove it as a file of ours."""
        kept = {f"{folder}/{each}" for folder in read.bundles for each in (*UNLISTED, RELEASES)}
        # NGINX wants its `run` to be there at the first start, also where the bundle came through git.
        marks = {f"{folder}/{RUN}/.gitignore" for folder in read.bundles}
        for path in read.files.keys() - marks:
            parts = path.split("/")
            if not kept.isdisjoint("/".join(parts[:count]) for count in (2, 3)):
                raise self._wrong(f"/files/{path}", "is among the files that a manifest never lists")

    def _text(self, found: Mapping[str, Any], key: str, at: str) -> str:
        return self._is_text(found.get(key), f"{at}/{key}")

    def _is_text(self, found: object, at: str) -> str:
        if not isinstance(found, str):
            raise self._wrong(at, "is not text")
        return found

    def _label(self, found: Mapping[str, Any], key: str, at: str) -> str:
        text = self._text(found, key, at)
        if not _LABEL.fullmatch(text):
            raise self._wrong(f"{at}/{key}", "is not sha256: and 64 hexadecimal digits")
        return text

    def _typed(self, kind: type[_T], found: Mapping[str, Any], key: str, at: str) -> _T:
        inner = found.get(key)
        if not isinstance(inner, kind):
            raise self._wrong(f"{at}/{key}", "is missing, or of another kind")
        return inner

    def _wrong(self, at: str, why: str) -> ManifestError:
        shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in at[:200])
        return _not_ours(self._path, f"{shown}{'…' if len(at) > 200 else ''} {why}")


def through_current(path: str) -> str:
    """What the link says that `meshctl apply` puts at ``path``, relative to the bundle."""
    return f"{'../' * path.count('/')}{RELEASES}/{CURRENT}/{path}"


def address_and_port(text: str) -> tuple[str, int] | None:
    """What ``127.0.0.1:80`` or ``[::1]:80`` says; None where it is neither."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        return None
    try:
        address = ipaddress.ip_address(found["six"] or found["four"])
    except ValueError:
        return None
    return (str(address), int(found["port"])) if (address.version == 6) == bool(found["six"]) else None


def is_inside(text: str) -> bool:
    """Whether a text is a path of a file below a folder."""
    return not _not_a_path(text)


def _not_a_path(text: str) -> str:
    """Why it is no path of a file below a folder on Linux; empty where it is one."""
    if not text.isprintable() or len(text) > 1024:
        return "is not a path"
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "leads outside the folder"
    return "is not a path" if any(len(part.encode()) > 255 for part in parts) else ""
