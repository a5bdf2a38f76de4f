"""Faults: for all requests where no share is written; a share of 0 is no fault."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Source
from meshctl.spec.fault_injection import FaultSpec


def fault(written: FaultSpec | None, source: Source) -> ir.Fault | None:
    """What happens to the requests of a route on purpose; ``source`` is its place."""
    if written is None:
        return None
    delay, abort = written.delay, written.abort
    made = ir.Fault(
        ir.Delay(delay.duration, _share(delay.percent), source.at("delay"))
        if delay is not None and delay.percent != 0
        else None,
        ir.Abort(abort.status, _share(abort.percent), source.at("abort"))
        if abort is not None and abort.percent != 0
        else None,
    )
    return made if made != ir.Fault() else None


def _share(percent: Fraction | None) -> Fraction:
    return Fraction(1) if percent is None else percent


def check(written: FaultSpec | None, source: Source) -> Iterator[Finding]:
    """Faults that never happen; ``source`` is their place."""
    if written is None:
        return
    for key, each in (("delay", written.delay), ("abort", written.abort)):
        if each is not None and each.percent == 0:
            message = "0% of the requests have this fault"
            yield finding("ineffective-setting", source.at(key, "percent"), message, remove=source.part(key))
