"""Scalars that name places in a network or on a host."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import WithJsonSchema

from meshctl.spec.types import Before, refuse, text, whole_field

_OCTET = r"(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_HOST_PATH = re.compile(r"(?:/[A-Za-z0-9._+@-]+)+")
_LONGEST_HOST_PATH = 255

Port = Annotated[
    int, whole_field(1, 65535, "a port"), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})
]


def _ip_address(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = "an IPv4 or IPv6 address (for a host name use `discovery: {dns: {name: …}}`)"
    written = text(value, expected)
    if _IPV4.fullmatch(written):
        return written
    if not _is_ipv6(written):
        raise refuse(expected)
    return str(ipaddress.IPv6Address(written))


def _is_ipv6(written: str) -> bool:
    if ":" not in written or not _IPV6.fullmatch(written):
        return False
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    return address.ipv4_mapped is None


IpAddress = Annotated[
    str,
    Before(_ip_address),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}),
]
"""In its shortest form, in lower case. No zone, and no IPv4 address in IPv6's clothes."""


def _socket(value: Any) -> str:  # noqa: ANN401
    expected = "an address and a port, such as 127.0.0.53:53 or [::1]:53"
    written = text(value, expected)
    address, colon, port = written.rpartition(":")
    bare = address.removeprefix("[").removesuffix("]") if address.startswith("[") else address
    if not colon or not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise refuse(expected)
    if not (_is_ipv6(bare) if address.startswith("[") else _IPV4.fullmatch(bare)):
        raise refuse(expected)
    return written


SocketText = Annotated[str, Before(_socket), WithJsonSchema({"type": "string"})]


def _host_path(value: Any) -> str:  # noqa: ANN401
    expected = "an absolute path on the host of letters, digits and . _ + @ -, such as /etc/shop/edge.pem"
    written = text(value, expected)
    if len(written) > _LONGEST_HOST_PATH or not _HOST_PATH.fullmatch(written):
        raise refuse(expected)
    if {".", ".."} & set(written.split("/")):
        raise refuse(expected)
    return written


HostPath = Annotated[str, Before(_host_path), WithJsonSchema({"type": "string", "pattern": "^/"})]


def _authorities(value: Any) -> str:  # noqa: ANN401
    if value == "system":
        return "system"
    try:
        return _host_path(value)
    except ValueError:
        raise refuse("`system`, or an absolute path on the host to a file of CAs") from None


Authorities = Annotated[str, Before(_authorities), WithJsonSchema({"type": "string", "minLength": 1})]
