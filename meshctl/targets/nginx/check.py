"""What NGINX's own validator reads. It binds what it reads of, which only the sidecar's own host can do."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from itertools import count

from msgspec.structs import replace

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE
from meshctl.targets.nginx.model import Configuration, Inbound, Stream
from meshctl.targets.nginx.model_destinations import Destination, OriginTls, Try
from meshctl.targets.nginx.model_outbound import Listener, Outbound, ServerTls
from meshctl.targets.nginx.model_policies import Policies
from meshctl.targets.nginx.quoting import Token
from meshctl.targets.nginx.render import render

_SAME = b"include nginx.conf;\n"


def check(configuration: Configuration) -> bytes:
    """``check.conf``: the same as ``nginx.conf``, but for addresses and files that this machine may not have."""
    sockets = _sockets()
    inbound, stream, health = configuration.inbound, configuration.stream, configuration.health
    here = replace(
        configuration,
        inbound=inbound and _inbound(inbound, sockets),
        outbound=_outbound(configuration.outbound, sockets),
        health=health and replace(health, listens=_local(health.listens, sockets)),
        stream=stream and _stream(stream, sockets),
    )
    return _SAME if here == configuration else render(here)


def _sockets() -> Iterator[Token]:
    yield Token("unix:../run/check.sock")
    for number in count(2):
        yield Token(f"unix:../run/check_{number}.sock")


def _local(listens: tuple[Token, ...], sockets: Iterator[Token]) -> tuple[Token, ...]:
    return tuple(each if each.startswith("unix:") or _everywhere(each) else next(sockets) for each in listens)


def _everywhere(listen: Token) -> bool:
    host, _, _ = listen.rpartition(":")
    address = ip_address(host.strip("[]"))
    return isinstance(address, IPv4Address) and (address.is_loopback or address.is_unspecified)


def _inbound(inbound: Inbound, sockets: Iterator[Token]) -> Inbound:
    return replace(
        inbound,
        listens=_local(inbound.listens, sockets),
        plain_listens=_local(inbound.plain_listens, sockets),
    )


def _outbound(outbound: Outbound, sockets: Iterator[Token]) -> Outbound:
    known = {each.number: _destination(each) for each in outbound.destinations}
    return replace(
        outbound,
        listeners=tuple(_listener(each, known, sockets) for each in outbound.listeners),
        destinations=tuple(known.values()),
        tries=tuple(_try(each) for each in outbound.tries),
        policies=_policies(outbound.policies, known),
    )


def _listener(listener: Listener, known: dict[int, Destination], sockets: Iterator[Token]) -> Listener:
    return replace(
        listener,
        listens=_local(listener.listens, sockets),
        tls=listener.tls and _server_tls(listener.tls),
        virtual_hosts=tuple(
            replace(host, destinations=tuple(known[each.number] for each in host.destinations))
            for host in listener.virtual_hosts
        ),
    )


def _server_tls(tls: ServerTls) -> ServerTls:
    return replace(tls, certificate=Token(f"../{CERTIFICATE}"), key=Token(f"../{PRIVATE_KEY}"))


def _destination(destination: Destination) -> Destination:
    return replace(destination, origin_tls=_origin_tls(destination.origin_tls))


def _try(tried: Try) -> Try:
    return replace(tried, origin_tls=_origin_tls(tried.origin_tls))


def _policies(policies: Policies, known: dict[int, Destination]) -> Policies:
    mirroring = policies.mirroring
    return replace(
        policies,
        checks=tuple(replace(each, origin_tls=_origin_tls(each.origin_tls)) for each in policies.checks),
        mirroring=mirroring
        and replace(mirroring, destinations=tuple(known[each.number] for each in mirroring.destinations)),
    )


def _origin_tls(tls: OriginTls | None) -> OriginTls | None:
    return tls and replace(tls, authorities=Token(f"../{TRUST_BUNDLE}"))


def _stream(stream: Stream, sockets: Iterator[Token]) -> Stream:
    inbound = stream.inbound
    return replace(
        stream,
        prereads=tuple(replace(each, listens=_local(each.listens, sockets)) for each in stream.prereads),
        passed=tuple(replace(each, listens=_local(each.listens, sockets)) for each in stream.passed),
        inbound=inbound
        and replace(
            inbound,
            listens=_local(inbound.listens, sockets),
            plain_listens=_local(inbound.plain_listens, sockets),
        ),
        doorway=stream.doorway and replace(stream.doorway, listens=_local(stream.doorway.listens, sockets)),
        listeners=tuple(
            replace(each, listens=_local(each.listens, sockets), origin_tls=_origin_tls(each.origin_tls))
            for each in stream.listeners
        ),
    )
