"""Outputs through the proxies' own validators, in a scratch copy with throwaway certificates.

The copy keeps a bad output from ever reaching the output folder, and lets a bundle be checked that has
no certificates yet. Composes targets, pki and live, as the pipeline does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from meshctl import ir
from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE, Artifact, Plan
from meshctl.diagnostics import ToolError
from meshctl.live import verify as live
from meshctl.pipeline.throwaway import needs_files, with_files_below
from meshctl.pki.authority import Authority, create_authority
from meshctl.pki.issue import issue
from meshctl.targets import target
from meshctl.targets.bundle import bundle, folder

WORKERS = 2
HOST_FILES = "host.files"
"""Below the scratch folder, what stands in for files of the host; no service can have this name."""


class Verification(Struct, frozen=True):
    """Bundles that their proxy took, and proxies that are not installed here."""

    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def verify(
    mesh: ir.Mesh,
    artifacts: Iterable[Artifact],
    changed: Sequence[str] | None,
    now: datetime,
    *,
    require: bool = False,
) -> Verification:
    """Ask each proxy about its bundles: those with ``changed`` files, or all of them.

    Raises ToolError when a proxy refuses or warns, and with ``require`` when one is not installed.
    """
    chosen = [each for each in mesh.sidecars if changed is None or _touched(folder(each), changed)]
    commands = {proxy: target(proxy).COMMANDS for proxy in {each.proxy for each in chosen}}
    missing = sorted(proxy for proxy, each in commands.items() if not live.is_available(each.binary))
    if missing and require:
        raise ToolError(f"not installed here: {', '.join(missing)}; needed by --verify all")
    present = [each for each in chosen if each.proxy not in missing]
    if not present:
        return Verification((), tuple(missing))
    with tempfile.TemporaryDirectory(prefix="meshctl-verify-") as scratch:
        root = Path(scratch)
        _lay_out(root, present, artifacts, create_authority(mesh.trust_domain, now).authority, now)
        checks = [
            live.Check(folder(each), root / folder(each) / each.proxy, its.binary, its.check)
            for each in present
            for its in (commands[each.proxy],)
        ]
        with ThreadPoolExecutor(WORKERS) as pool:
            refused = [each for each in pool.map(live.verify, checks) if not each.ok]
    if refused:
        told = "\n".join(f"{each.bundle}:\n{each.output.strip()}" for each in refused)
        raise ToolError(f"a proxy does not take what meshctl made for it; nothing was written. {told}")
    return Verification(tuple(folder(each) for each in present), tuple(missing))


def _touched(bundle: str, changed: Sequence[str]) -> bool:
    return any(path.startswith(f"{bundle}/") for path in changed)


def _lay_out(
    root: Path,
    sidecars: Sequence[ir.Sidecar],
    artifacts: Iterable[Artifact],
    authority: Authority,
    now: datetime,
) -> None:
    issued = {each.service: issue(authority, each.identity, timedelta(days=1), now) for each in sidecars}
    folders = tuple(f"{folder(each)}/" for each in sidecars if not needs_files(each))
    equivalents = [
        with_files_below(each, root / HOST_FILES, issued[each.service])
        for each in sidecars
        if needs_files(each)
    ]
    # Whole, for files are named after what they name.
    laid_out = [
        *(each for each in artifacts if each.path.startswith(folders)),
        *(each for sidecar in equivalents for each in bundle(sidecar)),
    ]
    Plan(root, laid_out).apply({})
    for sidecar in sidecars:
        its, where = issued[sidecar.service], root / folder(sidecar)
        (where / CERTIFICATE).parent.mkdir()
        for name, content in (
            (CERTIFICATE, its.chain_pem),
            (PRIVATE_KEY, its.key_pem),
            (TRUST_BUNDLE, its.trust_pem),
            *(((REVOCATION_LISTS, authority.crl_pem),) if sidecar.tls.crl else ()),
        ):
            (where / name).touch(mode=0o600)
            (where / name).write_bytes(content)
