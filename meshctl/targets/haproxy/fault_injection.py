"""Failures on purpose.

An abort is the listener's. A delay is the first thing in the section behind it, where no timer runs yet, and the
abort that follows a delay is decided before it and made after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Action
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Delay

SCRIPT = "delays.lua"

_REQUEST = Token("http-request")


def actions(route: ir.Route) -> Iterator[Action]:
    """What the listener does: the abort, or where a delay comes before it the draw for it."""
    abort = route.fault.abort if route.fault else None
    if abort:
        fails = quoting.statement(Token("return status"), abort.status)
        does = Token("set-var(txn.abort) bool(true)") if delays(route) else fails
        yield Action(_REQUEST, does, _draw(abort.share))


def delays(route: ir.Route) -> bool:
    """Whether any of its requests waits."""
    return bool(route.fault and route.fault.delay)


def delay(fault: ir.Fault) -> Delay | None:
    """The pause of a route, see ``delays.lua``."""
    if fault.delay is None:
        return None
    milliseconds = max(fault.delay.duration // timedelta(milliseconds=1), 1)
    return Delay(milliseconds, _draw(fault.delay.share), fault.abort.status if fault.abort else None)


def _draw(share: Fraction) -> Token | None:
    return None if share == 1 else Token(f"{{ rand({share.denominator}) lt {share.numerator} }}")
