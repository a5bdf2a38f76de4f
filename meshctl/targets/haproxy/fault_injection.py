"""Failures on purpose, before a request has a section whose time it could use up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Action
from meshctl.targets.haproxy.quoting import Token

SCRIPT = "delays.lua"

_REQUEST = Token("http-request")


def actions(route: ir.Route) -> Iterator[Action]:
    """The delay, then the abort, each by a draw of its own."""
    if route.fault is None:
        return
    delay, abort = route.fault.delay, route.fault.abort
    if delay:
        length = max(delay.duration // timedelta(milliseconds=1), 1)
        yield Action(_REQUEST, Token(f"lua.delay {length}"), _draw(delay.share))
    if abort:
        yield Action(_REQUEST, quoting.statement(Token("return status"), abort.status), _draw(abort.share))


def delays(route: ir.Route) -> bool:
    """Whether any of its requests waits."""
    return bool(route.fault and route.fault.delay)


def _draw(share: Fraction) -> Token | None:
    return None if share == 1 else Token(f"{{ rand({share.denominator}) lt {share.numerator} }}")
