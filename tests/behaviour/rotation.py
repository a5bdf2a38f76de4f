"""New certificates and revocation lists for sidecars that run, brought to them as their README says."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from meshctl.live.programs import environment
from meshctl.pipeline import IDENTITIES
from meshctl.pki import renewal, revocation, store
from meshctl.pki.authority import load_authority
from meshctl.pki.identities import Identities, parse_identities
from meshctl.pki.issue import issue
from meshctl.targets import target

LIFETIME = timedelta(days=30)


def told(sidecar, folder: Path) -> None:
    """Tell a running sidecar that files in its ``tls`` folder are new."""
    commands = target(sidecar.proxy).COMMANDS
    subprocess.run(
        ["sh", "-c", commands.reload],
        cwd=folder / sidecar.proxy,
        env=environment({}),
        check=True,
        timeout=20,
    )


def authority_of(out: Path) -> Path:
    return out.parent / "ca"


def holder_of(out: Path, folder: Path):
    return next(each for each in identities(out).holders if out.joinpath(*each.folder) == folder)


def identities(out: Path) -> Identities:
    return parse_identities((out / IDENTITIES).read_bytes())


def revoke(out: Path, folder: Path) -> None:
    """The certificate in a bundle, by a list that all other bundles get: a thief does without."""
    everybody, now = identities(out), datetime.now(UTC)
    thief = holder_of(out, folder)
    held = store.held(out, thief)
    assert held is not None
    authority, new = revocation.revoke(authority_of(out), {held.serial}, LIFETIME, now)
    assert new
    others = tuple(each for each in everybody.holders if each != thief)
    assert renewal.deliver(out, Identities("", everybody.policy, others, crl=True), authority) == others


def put(path: Path, content: bytes) -> None:
    """A file in the place of another, as deployers do it."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.rename(path)


def renew(out: Path, folder: Path) -> None:
    """A new certificate and key into a bundle."""
    holder = holder_of(out, folder)
    authority = load_authority(authority_of(out))
    store.write(out, {holder: issue(authority, holder.identity, LIFETIME, datetime.now(UTC))})
