"""A sidecar's bundle: its proxy's files and a README that says how to use them."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE, Artifact
from meshctl.ir import Sidecar
from meshctl.targets import target
from meshctl.targets.base import Commands


def folder(sidecar: Sidecar) -> str:
    """The bundle's folder below the output folder."""
    return f"{sidecar.service}/{sidecar.instance}" if sidecar.instance else sidecar.service


def bundle(sidecar: Sidecar) -> Iterator[Artifact]:
    """Every file of the bundle, paths relative to the output folder."""
    its_target = target(sidecar.proxy)
    base = folder(sidecar)
    for artifact in its_target.emit(sidecar):
        yield Artifact(f"{base}/{artifact.path}", artifact.content, artifact.executable)
    yield Artifact(f"{base}/README", _readme(sidecar, its_target.COMMANDS).encode())


def _readme(sidecar: Sidecar, commands: Commands) -> str:
    proxy = sidecar.proxy
    inbound = f"other sidecars   {sidecar.inbound.bind} (mutual TLS)\n" if sidecar.inbound else ""
    application = f"application      {sidecar.inbound.application}\n" if sidecar.inbound else ""
    return f"""\
{sidecar.service} of the mesh {sidecar.mesh}: sidecar for {proxy}
Made by meshctl; changes are lost at the next build.

Needs            {", ".join(commands.packages)}
Start            {proxy}/run            (from any folder, as a normal user; SIGTERM stops it)
Check            cd {proxy} && {commands.binary} {" ".join(commands.check)}
Reload           {commands.reload}
Certificates     {CERTIFICATE}, {PRIVATE_KEY} (mode 0600), {TRUST_BUNDLE}
                 made by `meshctl build --ca DIR` or `meshctl certs issue`; never commit them

own application  {sidecar.outbound.bind} (plain HTTP, Host says whom)
{inbound}{application}admin            {sidecar.admin.bind} (GET /ready, GET /build)
build            {sidecar.build}
"""
