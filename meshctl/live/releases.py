"""Releases of a bundle beside each other on its host, and the one rename that exchanges them.

A sidecar runs in ``BUNDLE/<proxy>`` and finds its files there at each reload, so that folder has to stay. Its files
are links through ``.releases/current``, itself a link to one release: whoever renames another over it exchanges all
files at once. ``.releases/good`` is the release that was proved to serve; where the two differ, an exchange is under
way or was cut short. Certificates (``tls``) and the state of what runs (``run``) are nobody's release. Decision 0139.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import orjson
from msgspec import Struct, structs
from msgspec.structs import replace

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.diagnostics import UsageError
from meshctl.inspection import beginning
from meshctl.live import disk
from meshctl.manifest import CURRENT, RELEASES, RUN, TLS, is_inside, through_current

GOOD = "good"
BACK = "back"
LARGEST = 64 << 20
"""Bytes. A file of a bundle is smaller by far, whatever the mesh."""
_ABOUT = "release.json"
_SECRETS = (TRUST_BUNDLE, REVOCATION_LISTS, PRIVATE_KEY, CERTIFICATE)
"""In the order in which they are put in force: a certificate that is there fits its key (decision 0006)."""
_LARGEST_ABOUT = 1 << 20
"""Bytes of what stands in a release about it."""


class Content(Struct, frozen=True):
    """What a file of a release holds."""

    data: bytes
    executable: bool = False


class Release(Struct, frozen=True):
    """What stands beside a bundle. ``name`` is its folder's below ``.releases``, empty until it has one."""

    proxy: str
    build: str
    """Empty where nobody knows: files that were there before any release."""
    admin: str
    """Where `GET /build` is answered, ``address:port``; empty where nobody knows."""
    files: tuple[str, ...] = ()
    """Paths relative to the bundle."""
    name: str = ""


class Place(Struct, frozen=True):
    """A sidecar's bundle on its host. Its methods raise OSError, and UsageError where a release is none that we made."""

    folder: Path

    @property
    def current(self) -> Release | None:
        """Whose files are there."""
        return self._linked(CURRENT)

    @property
    def good(self) -> Release | None:
        """The last one that was proved to serve."""
        return self._linked(GOOD)

    @property
    def is_settled(self) -> bool:
        """Whether no exchange is under way."""
        same = disk.leads(self._releases / CURRENT) == disk.leads(self._releases / GOOD)
        return same and not self.is_taken_back

    @property
    def is_taken_back(self) -> bool:
        """Whether the good release is to serve again, and has not been proved to."""
        return (self._releases / BACK).is_symlink()

    @property
    def certificates(self) -> dict[str, bytes]:
        """The files in ``tls`` that a sidecar reads, by their paths in the bundle."""
        return read_secrets(self.folder)

    def path(self, release: Release) -> Path:
        """Where a release's own files are."""
        return self._releases / release.name

    def holds(self, files: Mapping[str, Content]) -> bool:
        """Whether exactly these files are there, as links to the current release."""
        current = self.current
        return (
            current is not None
            and set(current.files) == set(files)
            and all(self._is_ours(path) and self._found(path) == each for path, each in files.items())
        )

    def stage(self, release: Release, files: Mapping[str, Content], tls: Mapping[str, bytes]) -> Release:
        """Put a release beside the others, on the disk and used by nobody; ``tls``: certificates that come with it."""
        label = release.build.removeprefix("sha256:")[:12] or "found"
        named = replace(release, files=tuple(sorted(files)), name=f"{label}-{secrets.token_hex(4)}")
        try:
            self._write(named, files, tls)
        except BaseException:
            shutil.rmtree(self.path(named), ignore_errors=True)
            raise
        return named

    def discard(self, release: Release) -> None:
        """Remove a release that was staged and never came into force, and folders that were made for it."""
        shutil.rmtree(self.path(release))
        with contextlib.suppress(OSError):
            self._releases.rmdir()
            self.folder.rmdir()

    def adopt(self, release: Release, names: Iterable[str]) -> None:
        """Make files of others' making a release, the current and good one. What is read by their names stays the same."""
        found = {path: content for path in names if (content := self._found(path)) is not None}
        if all(self._is_ours(path) for path in found):
            return
        staged = self.stage(release, found, {})
        self._point(CURRENT, staged)
        self._point(GOOD, staged)
        self._link(staged)

    def exchange(self, release: Release) -> None:
        """Bring the files of a staged release into force, all at once."""
        self._link(release)
        self._point(CURRENT, release)

    def settle(self) -> None:
        """Take the current release for good, and remove what is left of others."""
        current = self.current
        if current is not None:
            self._point(GOOD, current)
        self.tidy()

    def take_back(self) -> None:
        """The good release again, or where there was none before, nothing. It is to be proved, and :meth:`tidy` to be called then."""
        disk.point(self._releases / BACK, GOOD, self._releases)
        disk.sync(self._releases)
        good = self.good
        if good is not None:
            self._link(good)
            self._point(CURRENT, good)
        else:
            (self._releases / CURRENT).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Take the exchange for settled; remove releases that are neither current nor good, and links that lead nowhere."""
        if not self._releases.is_dir():
            return
        (self._releases / BACK).unlink(missing_ok=True)
        used = {disk.leads(self._releases / each) for each in (CURRENT, GOOD)}
        for path in sorted(self._releases.iterdir()):
            if path.is_symlink() or not path.is_dir():
                if path.name not in (CURRENT, GOOD):
                    path.unlink()
            elif path.name not in used:
                about = _about(self._releases, path.name)
                for each in about.files if about else ():
                    self._unlink(each)
                shutil.rmtree(path)
            elif not (path / TLS).is_symlink():
                # What was kept there is in force, or was replaced for good.
                shutil.rmtree(path / TLS, ignore_errors=True)
                disk.point(path / TLS, f"../../{TLS}", self._releases)

    def keep_certificates(self) -> None:
        """Copy the certificates in force to the good release, where :meth:`install_certificates` finds them when that comes back."""
        good, held = self.good, self.certificates
        if good is None or not held or not (self.path(good) / TLS).is_symlink():
            return
        staged = self._releases / f".{TLS}"
        shutil.rmtree(staged, ignore_errors=True)
        _write_secrets(staged, held)
        (self.path(good) / TLS).unlink()
        staged.rename(self.path(good) / TLS)

    def install_certificates(self) -> None:
        """Put the certificates that the current release brought, or kept, in force."""
        current = self.current
        if current is None or (self.path(current) / TLS).is_symlink():
            return
        source, own = read_secrets(self.path(current)), self.folder / TLS
        if not source or source == self.certificates:
            return
        if own.is_dir():
            (self.folder / CERTIFICATE).unlink(missing_ok=True)
            for path in _SECRETS:
                if path in source:
                    disk.replace(self.folder / path, source[path], _mode(path))
                else:
                    (self.folder / path).unlink(missing_ok=True)
            disk.sync(own)
            return
        staged = self._releases / f".{TLS}"
        shutil.rmtree(staged, ignore_errors=True)
        _write_secrets(staged, source)
        staged.rename(own)
        disk.sync(self.folder)

    @property
    def _releases(self) -> Path:
        return self.folder / RELEASES

    def _linked(self, name: str) -> Release | None:
        target = disk.leads(self._releases / name)
        if not target:
            return None
        # With less than all that we wrote, nobody can tell what to take back.
        if (found := _about(self._releases, target)) is None:
            raise UsageError(
                f"{self._releases / name} leads to no release that `meshctl apply` made; remove {self._releases} and copy the bundle anew"
            )
        return found

    def _found(self, path: str) -> Content | None:
        """A file as whoever opens it by its name reads it."""
        where = self.folder / path
        try:
            mode = where.stat().st_mode
            return (
                Content(disk.read(where, LARGEST), bool(mode & stat.S_IXUSR)) if stat.S_ISREG(mode) else None
            )
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_ours(self, path: str) -> bool:
        return disk.leads(self.folder / path) == through_current(path)

    def _link(self, release: Release) -> None:
        for path in release.files:
            if not self._is_ours(path):
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                disk.point(self.folder / path, through_current(path), self._releases)
                disk.sync((self.folder / path).parent)

    def _unlink(self, path: str) -> None:
        where = self.folder / path
        if self._is_ours(path) and not where.exists():
            where.unlink()

    def _write(self, release: Release, files: Mapping[str, Content], tls: Mapping[str, bytes]) -> None:
        root = self.path(release)
        root.mkdir(parents=True)
        disk.write(root / _ABOUT, orjson.dumps(structs.asdict(release)), 0o644)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            disk.write(root / path, content.data, 0o755 if content.executable else 0o644)
        if tls:
            _write_secrets(root / TLS, tls)
        else:
            (root / TLS).symlink_to(f"../../{TLS}")
        if (self.folder / RUN).is_dir():
            (root / RUN).symlink_to(f"../../{RUN}")
        else:
            # A validator wants a folder there; the sidecar's own is made by its `run`.
            (root / RUN).mkdir(mode=0o700)
        for folder in {root / path for path in files}:
            disk.sync(folder.parent)
        disk.sync(root)
        disk.sync(self._releases)

    def _point(self, name: str, release: Release) -> None:
        disk.point(self._releases / name, release.name, self._releases)
        disk.sync(self._releases)


def require_own(place: Place, files: Iterable[str] = ()) -> None:
    """Raises UsageError where a folder of a bundle, that we would write into, is a link, or one of its releases is not ours."""
    folder = place.folder
    if (folder / RELEASES).is_symlink():
        raise _a_link(folder / RELEASES)
    listed = (path for release in (place.current, place.good) if release for path in release.files)
    inner = {parent for path in (*files, *listed) for parent in PurePosixPath(path).parents}
    for each in (folder.parent, *(folder / name for name in (*map(str, inner), RELEASES, TLS, RUN))):
        if each.is_symlink():
            raise _a_link(each)


def _a_link(path: Path) -> UsageError:
    return UsageError(f"{path} is a symbolic link; name the folder that it leads to, or remove it")


def read_secrets(bundle: Path) -> dict[str, bytes]:
    """The files in a bundle's ``tls`` that its sidecar reads, by their paths. Raises OSError."""
    return {path: disk.read(bundle / path, LARGEST) for path in _SECRETS if (bundle / path).is_file()}


def _about(releases: Path, name: str) -> Release | None:
    """What stands in a release about it; None where that is not what we write."""
    if not is_inside(name) or "/" in name or (releases / name).is_symlink():
        return None
    try:
        found = orjson.loads(beginning(releases / name / _ABOUT, _LARGEST_ABOUT))
        release = Release(**found | {"files": tuple(found["files"])})
    except (OSError, orjson.JSONDecodeError, TypeError, KeyError):
        return None
    texts = (release.proxy, release.build, release.admin, *release.files)
    if release.name != name or not all(isinstance(each, str) for each in texts):
        return None
    kept = (RELEASES, TLS, RUN)
    sound = all(is_inside(each) and each.partition("/")[0] not in kept for each in release.files)
    return release if sound else None


def _mode(path: str) -> int:
    return 0o600 if path == PRIVATE_KEY else 0o644


def _write_secrets(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(mode=0o755)
    disk.write(folder / ".gitignore", b"*\n", 0o644)
    for path, content in files.items():
        disk.write(folder / PurePosixPath(path).name, content, _mode(path))
    disk.sync(folder)
