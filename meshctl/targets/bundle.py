"""A sidecar's bundle: its proxy's files and a README that says how to use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE, Artifact
from meshctl.ir import Sidecar, SocketAddress
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
        guarded = sidecar.tls.crl and artifact.path.endswith("/run")
        content = _guarded(artifact.content) if guarded else artifact.content
        yield Artifact(f"{base}/{artifact.path}", content, artifact.executable)
    yield Artifact(f"{base}/README", _readme(sidecar, its_target.COMMANDS).encode())


# A proxy takes an old list, and then refuses every connection.
_GUARD = f"""\
if ! openssl verify -crl_check_all -CAfile ../{TRUST_BUNDLE} -CRLfile ../{REVOCATION_LISTS} \\
    -untrusted ../{CERTIFICATE} ../{CERTIFICATE} >/dev/null; then
  echo "not started: with {REVOCATION_LISTS} as it is this sidecar could speak to nobody" >&2
  exit 1
fi
"""


def _guarded(run: bytes) -> bytes:
    """A proxy's ``run`` that starts it only with revocation lists of all CAs, none of them old, and a certificate in none."""
    before, folder_line, after = run.partition(b"\ncd ")
    where, end_of_line, rest = after.partition(b"\n")
    return before + folder_line + where + end_of_line + _GUARD.encode() + rest


def _readme(sidecar: Sidecar, commands: Commands) -> str:
    proxy = sidecar.proxy
    packages = (
        *commands.packages,
        *commands.packages_for(sidecar),
        *(("openssl",) if sidecar.tls.crl else ()),
    )
    lists = f", {REVOCATION_LISTS}" if sidecar.tls.crl else ""
    addresses = "".join(f"{what:16} {where}\n" for what, where in _addresses(sidecar))
    return f"""\
{sidecar.service} of the mesh {sidecar.mesh}: {"gateway" if sidecar.is_gateway else "sidecar"} for {proxy}
Made by meshctl; changes are lost at the next build.

Needs            {", ".join(packages)}
Start            {proxy}/run            (from any folder, as a normal user; SIGTERM stops it)
Check            cd {proxy} && {commands.binary} {" ".join(commands.check)}
Reload           {proxy}/reload         (0: it serves this build; 1: refused, what ran goes on; 2: not done, start it anew)
                 also after files in tls/ were replaced, each by a rename
Certificates     {CERTIFICATE}, {PRIVATE_KEY} (mode 0600), {TRUST_BUNDLE}{lists}
                 made by `meshctl build --ca DIR` or `meshctl certs issue`; never commit them

{addresses}build            {sidecar.build}
"""


def _addresses(sidecar: Sidecar) -> Iterator[tuple[str, str]]:
    """Everything that listens, and what it is for."""
    outbound, inbound, health = sidecar.outbound, sidecar.inbound, sidecar.health
    if sidecar.is_gateway:
        kind = "TLS" if outbound.tls else "plain HTTP"
        yield "clients", f"{_listed(outbound.binds)} ({kind})"
        if outbound.tls:
            yield "shown to them", f"{outbound.tls.certificate}, {outbound.tls.key}"
    else:
        yield "own application", f"{_listed(outbound.binds)} (plain HTTP, Host says whom)"
    for local in sidecar.locals:
        yield "", f"{_listed(local.binds)} (plain HTTP, {local.virtual_hosts[0].service} whatever the Host)"
    for stream in sidecar.tcp:
        yield "", f"{_listed(stream.binds)} ({'TLS' if stream.sni else 'TCP'}, {', '.join(stream.services)})"
    if inbound is not None:
        yield "other sidecars", f"{_listed(inbound.binds)} (mutual TLS)"
        yield "application", f"{inbound.application}"
    if health is not None:
        path = f"GET {health.path}, " if health.path else ""
        yield "health", f"{_listed(health.binds)} ({path}GET /ready)"
    yield "admin", f"{sidecar.admin.bind} (GET /ready, GET /build)"


def _listed(binds: Iterable[SocketAddress]) -> str:
    return ", ".join(map(str, binds))
