"""Which request goes where: names of callees, then routes in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Criterion, RouteRule, VirtualHost
from meshctl.targets.haproxy.quoting import Token

Destination = tuple[str, ir.Route]
"""A route of the virtual host of a service."""


def virtual_hosts(outbound: ir.OutboundListener) -> tuple[VirtualHost, ...]:
    """Every callee with its names."""
    return tuple(
        VirtualHost(quoting.string(host.service), quoting.word_lists(host.hostnames))
        for host in outbound.virtual_hosts
    )


def destinations(outbound: ir.OutboundListener) -> dict[tuple[object, ...], tuple[int, ir.Route]]:
    """The different things that become of requests, numbered.

    Matches of one route share a number, and with it the lines that draw and choose.
    """
    found: dict[tuple[object, ...], tuple[int, ir.Route]] = {}
    for host in outbound.virtual_hosts:
        for route in host.routes:
            found.setdefault(identity(host, route), (len(found) + 1, route))
    return found


def identity(host: ir.VirtualHost, route: ir.Route) -> tuple[object, ...]:
    """What makes two routes the same destination; whether a timeout is written is not part of its equality."""
    return (host.service, route.name, route.backends, route.timeout, route.timeout.written, route.retries)


def rules(
    outbound: ir.OutboundListener, numbers: dict[tuple[object, ...], tuple[int, ir.Route]]
) -> Iterator[RouteRule]:
    """One rule a match, first match first."""
    serial = 0
    for host in outbound.virtual_hosts:
        for route in host.routes:
            serial += 1
            criteria = tuple(_criteria(f"m{serial}", route.match))
            yield RouteRule(
                target=numbers[identity(host, route)][0],
                service=quoting.word(host.service),
                criteria=criteria,
                names=tuple(dict.fromkeys(criterion.name for criterion in criteria)),
            )


def _criteria(prefix: str, match: ir.RouteMatch) -> Iterator[Criterion]:
    if not match.path.takes_everything:
        yield from _path(f"{prefix}.path", match.path)
    if match.methods:
        yield Criterion(
            quoting.name(f"{prefix}.method"), Token("method -m str"), quoting.word_lists(match.methods)
        )
    for number, header in enumerate(match.headers, start=1):
        yield _header(f"{prefix}.header{number}", header)


def _path(name: str, path: ir.PathMatch) -> Iterator[Criterion]:
    value = quoting.word(path.value)
    yield Criterion(quoting.name(name), Token("path -m str"), (value,))
    match path.kind:
        case ir.PathMatchKind.EXACT:
            return
        case ir.PathMatchKind.PREFIX:
            yield Criterion(quoting.name(name), Token("path -m beg"), (quoting.word(f"{path.value}/"),))
        case ir.PathMatchKind.REGEX:
            raise NotImplementedError
        case _:
            assert_never(path.kind)


def _header(name: str, header: ir.HeaderMatch) -> Criterion:
    sample = quoting.header_lines(header.name)
    # An empty pattern never matches anything; an empty line is one of length nought.
    if not header.value:
        return Criterion(quoting.name(name), Token(f"{sample} -m len"), (Token("0"),))
    return Criterion(quoting.name(name), Token(f"{sample} -m str"), (quoting.word(header.value),))
