"""Where a URL enters the mesh: whose sidecar is asked, and at which of its listeners."""

from __future__ import annotations

import re
from ipaddress import ip_address

from meshctl.diagnostics import UsageError
from meshctl.ir import Mesh, OutboundListener, Sidecar
from meshctl.suggestions import meant

_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]{0,5}))?")
_LAST_PORT = 65535


def caller(mesh: Mesh, name: str) -> Sidecar:
    """The first sidecar of that service or gateway. Raises UsageError where there is none."""
    services = {each.service: each for each in reversed(mesh.sidecars)}
    if name not in services:
        hint = meant(name, services)
        raise UsageError(f"there is no service or gateway `{name}` in the mesh{hint}")
    return services[name]


def section(mesh: Mesh, name: str) -> tuple[str, str]:
    """Where the spec has a service, a gateway or an external."""
    for each in mesh.sidecars:
        if each.service == name:
            return ("gateways" if each.is_gateway else "services"), name
    return "externals", name


def authority(sidecar: Sidecar, url: str) -> str:
    """The host and port of a URL. Raises UsageError for one that the caller's sidecar does not take."""
    wanted = "https" if sidecar.outbound.tls is not None else "http"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise UsageError(f"`{url}` is not a URL of the form {wanted}://host/path")
    if scheme.lower() != wanted:
        who = f"gateway `{sidecar.service}` serves {wanted.upper()}" if sidecar.is_gateway else ""
        why = who or "an application asks its own sidecar in plain HTTP, and that speaks TLS"
        raise UsageError(f"`{url}`: {why}; write {wanted}://…")
    return _authority(url, rest)


def plain_authority(url: str) -> str:
    """The same of a URL that is asked without a certificate."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() != "http":
        raise UsageError(f"`{url}` is not a URL of the form http://service/path")
    return _authority(url, rest)


def _authority(url: str, rest: str) -> str:
    authority = rest[: min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))]
    if not authority or authority.startswith(":"):
        raise UsageError(f"`{url}` names no host")
    if "@" in authority:
        raise UsageError(f"`{url}` has a user name, which no proxy takes; write a header instead")
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found[2] or 0) > _LAST_PORT:
        raise UsageError(f"`{authority}` is not a host, with or without a port")
    return authority


def listener(sidecar: Sidecar, authority: str) -> OutboundListener:
    """The local port that a URL on loopback names; else the listener for every host.

    Raises UsageError where that port is a stream's.
    """
    host, _, port = authority.rpartition(":")
    if not port or not _is_loopback(host):
        return sidecar.outbound
    for each in sidecar.locals:
        if int(port) in (bind.port for bind in each.binds):
            return each
    for stream in sidecar.tcp:
        if int(port) in (bind.port for bind in stream.binds):
            callees = " and ".join(f"`{each}`" for each in stream.services)
            raise UsageError(f"port {port} of `{sidecar.service}` is a stream to {callees}, without requests")
    return sidecar.outbound


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
