"""What NGINX's own validator reads. It binds what it reads of, which only the sidecar's own host can do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from meshctl import ir
from meshctl.targets.nginx.model import Configuration
from meshctl.targets.nginx.quoting import Token
from meshctl.targets.nginx.render import render

_SAME = b"include nginx.conf;\n"
_ANY_HOST = Token("unix:../run/check.sock")


def check(sidecar: ir.Sidecar, configuration: Configuration) -> bytes:
    """``check.conf``: the same as ``nginx.conf``, but with no address in it that this machine may not have."""
    if sidecar.inbound is None or configuration.inbound is None or _everywhere(sidecar.inbound.bind):
        return _SAME
    return render(replace(configuration, inbound=replace(configuration.inbound, listen=_ANY_HOST)))


def _everywhere(socket: ir.SocketAddress) -> bool:
    address = ip_address(socket.address)
    return address.is_loopback or address.is_unspecified
