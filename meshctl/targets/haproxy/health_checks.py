"""Endpoints that are asked how they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Check

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_METHOD_POST, _SCHEME_HTTPS, _AUTHORITY, _PATH, _CONTENT_TYPE = 0x83, 0x87, 1, 4, 31
_EMPTY_MESSAGE = bytes(5)
_SERVING = bytes.fromhex("00000000020801")
"""A gRPC message of two bytes: HealthCheckResponse with status 1."""


def section(cluster: ir.Cluster) -> Token | None:
    """Where the servers are that are asked, for all others to follow; addresses of a name cannot be followed."""
    if cluster.health_check is None or cluster.dns or not cluster.endpoints:
        return None
    return quoting.name(f"{cluster.name}:checks")


def check(cluster: ir.Cluster) -> Check | None:
    """How, in HAProxy's words."""
    asked = cluster.health_check
    if asked is None:
        return None
    every = quoting.duration(asked.interval)
    words = f"check inter {every} fall {asked.unhealthy_threshold} rise {asked.healthy_threshold}"
    return Check(
        lines=tuple(_lines(asked)),
        words=quoting.statement(Token(words), *_hello(cluster)),
        timeout=quoting.duration(asked.timeout),
    )


def _lines(asked: ir.HealthCheck) -> Iterator[Token]:
    match asked.kind:
        case ir.HealthCheckKind.HTTP:
            yield Token("option httpchk")
            request = Token("http-check send meth GET uri"), quoting.word(asked.path)
            yield quoting.statement(
                *request, Token("ver HTTP/1.1 hdr host"), quoting.literal_format(asked.host)
            )
            yield Token("http-check expect status 200-299")
        case ir.HealthCheckKind.GRPC:
            yield Token("option tcp-check")
            yield Token(f"tcp-check send-binary {_frames(asked.host).hex()}")
            yield Token(f"tcp-check expect binary {_SERVING.hex()}")
        case ir.HealthCheckKind.TCP:
            yield Token("option tcp-check")
        case _:
            assert_never(asked.kind)


def _hello(cluster: ir.Cluster) -> Iterator[Token]:
    """What a check's handshake says: it does not take it from the server line."""
    if cluster.plaintext:
        return
    if cluster.identity:
        name = cluster.workload.server_name
    elif cluster.origin and cluster.origin.tls:
        name = cluster.origin.tls.server_name
    else:
        return
    yield quoting.statement(Token("check-sni"), quoting.word(name))
    yield Token(f"check-alpn {'h2' if cluster.protocol.multiplexed else 'http/1.1'}")


def _frames(host: str) -> bytes:
    """A call of grpc.health.v1.Health/Check in HTTP/2 as it goes over the wire, for HAProxy speaks none in checks."""
    headers = (
        bytes((_METHOD_POST, _SCHEME_HTTPS))
        + _literal(_PATH, b"/grpc.health.v1.Health/Check")
        + _literal(_AUTHORITY, host.encode())
        + _literal(_CONTENT_TYPE, b"application/grpc")
        + bytes(1)
        + _string(b"te")
        + _string(b"trailers")
    )
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, _EMPTY_MESSAGE)
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: int, value: bytes) -> bytes:
    """A header that is not indexed, under a name of HPACK's static table (RFC 7541, 6.2.2)."""
    return _number(name, 4) + _string(value)


def _string(text: bytes) -> bytes:
    return _number(len(text), 7) + text


def _number(value: int, bits: int) -> bytes:
    """RFC 7541, 5.1."""
    most = 2**bits - 1
    if value < most:
        return bytes((value,))
    found, value = bytearray((most,)), value - most
    while value >= 128:
        found.append(value % 128 + 128)
        value //= 128
    found.append(value)
    return bytes(found)
