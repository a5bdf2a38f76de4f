"""Failures on purpose. They happen in ``fault_injection.lua``, before a route's location is entered."""

from __future__ import annotations

from fractions import Fraction

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_outbound import Fault

_NEVER = quoting.lua_fraction(Fraction(0))


def fault(number: int, written: ir.Fault) -> Fault:
    """The entry of route ``number``. Shares are compared with a number of 52 random bits."""
    delay, abort = written.delay, written.abort
    return Fault(
        number=number,
        delay=quoting.lua_seconds(delay.duration) if delay else _NEVER,
        delay_share=quoting.lua_fraction(delay.share) if delay else _NEVER,
        status=abort.status if abort else 0,
        abort_share=quoting.lua_fraction(abort.share) if abort else _NEVER,
    )
