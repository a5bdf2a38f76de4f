"""Destinations outside the mesh."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.mtls import TlsVersion
from meshctl.ir.written import Written

SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian keeps the CAs that the system trusts."""


class OriginTls(Written, frozen=True):
    """TLS to an external: SNI and verified DNS name, and the file of CAs (an absolute path on the host).

    An empty ``server_name`` stands for the request's host, where the cluster's name follows that.
    """

    server_name: Annotated[str, needs(Feature.TLS_ORIGINATION)]
    authorities: str
    minimum_version: TlsVersion
    at: Position | None = None


class Origin(Struct, frozen=True):
    """An external's side of a connection. Without ``tls`` it is plain."""

    tls: OriginTls | None


class DnsName(Struct, frozen=True):
    """A name whose addresses (A and AAAA) are the endpoints.

    ``name`` is asked again every ``refresh``; the last good answer stays while DNS fails. An empty ``name``
    stands for the request's own host (an address in it is used as it is), an empty ``port`` (0) for the port
    that the request's Host names, or 80. What cannot be resolved is answered 503. With ``srv`` the name's SRV
    records say targets, ports and weights (of the lowest priority only); ``port`` is 0 and means nothing.
    """

    name: str
    port: int
    refresh: timedelta
    srv: bool = False
