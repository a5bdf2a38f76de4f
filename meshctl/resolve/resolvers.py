"""DNS servers: written in the spec, for a build reads nothing of the machine it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import egress, externals
from meshctl.spec import Spec


def resolvers(spec: Spec) -> tuple[ir.SocketAddress, ...]:
    """Where names are looked up, in order."""
    return tuple(map(socket_address, spec.written.mesh.resolvers or ()))


def socket_address(written: str) -> ir.SocketAddress:
    """``address:port``, the address in its shortest form."""
    address, _, port = written.rpartition(":")
    return ir.SocketAddress(str(ip_address(address.strip("[]"))), int(port))


def check(spec: Spec) -> Iterator[Finding]:
    """Names that somebody calls, and nobody who is asked for their addresses."""
    if spec.written.mesh.resolvers:
        return
    fix = "Write `resolvers:` under `mesh`, for example `resolvers: [127.0.0.53:53]`"
    if egress.allowed(spec):
        at = spec.source["mesh"].at("egress")
        yield finding("resolvers-missing", at, "`egress: allow` looks up host names", fix=f"{fix}.")
    for name, service in (spec.written.services or {}).items():
        if service.discovery is not None:
            at = spec.source["services"][name].at("discovery")
            yield finding(
                "resolvers-missing",
                at,
                f"the endpoints of `{name}` are looked up, but the mesh names no DNS server",
                fix=f"{fix}, or give `{name}` `endpoints`.",
            )
    for name, external in (spec.written.externals or {}).items():
        if external.hosts and externals.looked_up(external):
            at = spec.source["externals"][name].at("hosts")
            yield finding(
                "resolvers-missing",
                at,
                f"the hosts of `{name}` are looked up, but the mesh names no DNS server",
                fix=f"{fix}, or give `{name}` `endpoints`.",
            )
