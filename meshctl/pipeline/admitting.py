"""What a built bundle must be before anything of a host is exchanged for it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from meshctl import ir
from meshctl.artifacts import PRIVATE_KEY
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.live import disk, verify
from meshctl.live.programs import find
from meshctl.live.releases import LARGEST, Content, Place, Release, read_secrets
from meshctl.live.reloading import Ended, reload, running, version
from meshctl.manifest import RUN, TLS, BundleEntry, Manifest
from meshctl.pipeline.certificates import IDENTITY
from meshctl.targets import target
from meshctl.targets.base import Commands

_SHOWN = 3


class RefusedError(Exception):
    """A bundle is not put live, and nothing was changed."""


def commands(proxy: str) -> Commands:
    """How bundles of a proxy are used. Raises UsageError for a proxy that meshctl does not know."""
    try:
        return target(ir.Proxy(proxy)).COMMANDS
    except ValueError:
        raise UsageError(f"meshctl knows no proxy `{proxy}`") from None


def running_pid(place: Place, proxy: str) -> int | None:
    """The process of a place's sidecar, where it runs."""
    return running(place.folder / proxy, commands(proxy).pid_file)


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    """The commands about certificates wait for us, and we for them. Raises UsageError for another user's sidecar, and OSError."""
    from meshctl.pki import files

    _require_owner(place)
    with files.folder(place.folder) as inside, files.lock(inside):
        with contextlib.suppress(FileNotFoundError), files.folder(place.folder, TLS) as tls:
            files.sweep(tls)
        yield


def _require_owner(place: Place) -> None:
    """What is in ``run`` is believed: whoever may write there would have a program run in our name, or a file emptied."""
    own = place.folder / RUN
    pid_files = (own / PurePosixPath(commands(each).pid_file).name for each in ir.Proxy)
    for path in (own, *pid_files):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                raise UsageError(
                    f"nothing was changed: {path} is a symbolic link, which no sidecar makes; remove it"
                )
            if found.st_uid != os.geteuid():
                raise UsageError(
                    f"nothing was changed: {path} belongs to the user {_user(found.st_uid)}; apply as that user, who started the sidecar"
                )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def files_of(root: Path, said: Manifest, entry: BundleEntry) -> dict[str, Content]:
    """The files of a bundle below ``root``, as its manifest has them. Raises RefusedError where one is another, no file, or too large."""
    listed = {
        path: file for path, file in said.files_of(entry.folder).items() if not path.startswith(f"{RUN}/")
    }
    needed = {f"{entry.proxy}/run", f"{entry.proxy}/reload", IDENTITY}
    wrong = [f"{path} is not in the manifest" for path in sorted(needed - listed.keys())]
    found: dict[str, Content] = {}
    for path, file in sorted(listed.items()):
        where = root / entry.folder / path
        if where.is_symlink() or not where.is_file():
            wrong.append(f"{path} is missing, or no file")
            continue
        try:
            data = disk.read(where, LARGEST)
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
            continue
        if hashlib.sha256(data).hexdigest() != file.sha256:
            wrong.append(f"{path} is not what was built")
        found[path] = Content(data, file.executable)
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise RefusedError(f"{', '.join(wrong[:_SHOWN])}{more}: build it again, or copy it whole")
    return found


def require_version(said: Manifest, entry: BundleEntry, pid: int | None) -> None:
    """Raises RefusedError where the proxy on this host is of another version than the files are for, and ToolError."""
    its = commands(entry.proxy)
    program = f"/proc/{pid}/exe" if pid else find(its.binary)
    if program is None:
        raise RefusedError(f"{its.binary} is not installed here")
    wanted = said.proxies[entry.proxy]
    if other := version(program, its.version, wanted):
        raise RefusedError(f"the files are for {entry.proxy} {wanted}, and here is {other}")


def certificates_for(place: Place, given: Path | None, built: Path) -> Mapping[str, bytes]:
    """Certificates to bring along: those in the bundle ``given``, or where the host has none, those that were built.

    None where the host keeps its own. Raises RefusedError and OSError.
    """
    found = read_secrets(given) if given else {}
    if given and PRIVATE_KEY not in found:
        raise RefusedError(f"there is no {given / PRIVATE_KEY}")
    if not given and not place.certificates:
        found = read_secrets(built)
    return {} if found == place.certificates else found


def require_certificates(files: Mapping[str, Content], secrets: Mapping[str, bytes], now: datetime) -> str:
    """Whether the certificates are those of the bundle with ``files``, and hold at ``now`` (UTC).

    A warning where they end soon, or nothing. Raises RefusedError.
    """
    from meshctl.pki import holding
    from meshctl.pki.identities import parse_identity

    identities = parse_identity(files[IDENTITY].data)
    try:
        return holding.require(identities, secrets, now)
    except FindingsError as error:
        # Each begins with whose certificate it is.
        why = "; ".join(each.message for each in error.findings)
        raise RefusedError(f"{why}. See `meshctl certs status`") from None
    except UsageError as error:
        raise RefusedError(str(error)) from None


def ask_proxy(place: Place, release: Release, folder: str) -> Ended:
    """What the bundle's `reload check` says of a staged release, or where no sidecar runs, the proxy's validator.

    Status 0: it can come in by a reload, or by a start where none runs; 1: it is refused; 2: only a start can bring it.
    """
    own = place.path(release) / release.proxy
    if running_pid(place, release.proxy):
        asked = reload(own, "check", str((place.folder / release.proxy).absolute()))
        if asked.status != 2:
            return asked
    else:
        asked = Ended(0, "")
    its = commands(release.proxy)
    verdict = verify.verify(verify.Check(folder, own, its.binary, its.check))
    return asked if verdict.ok else Ended(1, f"{its.binary} does not take it: {verdict.output.strip()}")
