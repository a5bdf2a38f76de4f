"""Outputs through the proxies' own validators, in a scratch copy with throwaway certificates.

The copy keeps a bad output from ever reaching the output folder, and lets a bundle be checked that has
no certificates yet. Composes targets, pki and live, as the pipeline does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from meshctl import ir
from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE, Artifact, Plan
from meshctl.diagnostics import ToolError
from meshctl.live import verify as live
from meshctl.pki.authority import Authority, create_authority
from meshctl.pki.issue import issue
from meshctl.targets import target
from meshctl.targets.bundle import folder

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Verification:
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
        raise ToolError(f"a proxy refuses what meshctl made for it; nothing was written. {told}")
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
    folders = tuple(f"{folder(each)}/" for each in sidecars)
    Plan(root, (each for each in artifacts if each.path.startswith(folders))).apply({})
    for sidecar in sidecars:
        issued = issue(authority, sidecar.identity, timedelta(days=1), now)
        bundle = root / folder(sidecar)
        (bundle / CERTIFICATE).parent.mkdir()
        for name, content in (
            (CERTIFICATE, issued.chain_pem),
            (PRIVATE_KEY, issued.key_pem),
            (TRUST_BUNDLE, issued.trust_pem),
        ):
            (bundle / name).touch(mode=0o600)
            (bundle / name).write_bytes(content)
