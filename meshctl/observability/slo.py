"""Objectives as rules: how fast each error budget burns, over several windows, and alerts on two of them at once.

The windows and their shares of the budget are those of the SRE workbook, "Alerting on SLOs", table 5-8:
https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

from msgspec import Struct

from meshctl.ir import duration_text
from meshctl.ir.observability import Watched
from meshctl.ir.slo import ServiceLevel
from meshctl.observability.rules import Rule, alert, literal, number, recording

WINDOWS = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400, "3d": 259200}
"""Each as PromQL writes it, and in seconds."""


class _Burn(Struct, frozen=True):
    """``share`` of the budget is gone within ``long``, and ``short`` shows that it goes on."""

    share: Fraction
    long: str
    short: str
    hours: int


_PAGE = (_Burn(Fraction(2, 100), "1h", "5m", 1), _Burn(Fraction(5, 100), "6h", "30m", 6))
_TICKET = (_Burn(Fraction(10, 100), "1d", "2h", 24), _Burn(Fraction(10, 100), "3d", "6h", 72))


class Objective(Struct, frozen=True):
    """One promise of one service, as PromQL: ``bad`` and ``all`` are selectors of counters."""

    mesh: str
    service: str
    name: str
    share: Fraction
    bad: str
    all: str
    good: bool
    """Whether ``bad`` selects the good ones instead."""
    window: timedelta
    text: str

    @property
    def selector(self) -> str:
        """Labels of what is recorded of it."""
        return "{" + f'mesh="{self.mesh}",callee="{self.service}",slo="{self.name}"' + "}"

    def ratio(self, window: str) -> str:
        """The share of requests that broke the promise; nothing while there are none."""
        total, bad = _each_second(self.all, window), _each_second(self.bad, window)
        if self.good:
            return f"1 - {bad} / {total}"
        # Without any error there is no series of errors, which must read as 0.
        return f"({bad} or 0 * {total}) / {total}"

    def factor(self, burn: _Burn) -> Fraction:
        """How many times faster than evenly over the window the budget goes."""
        return burn.share * Fraction(self.window // timedelta(hours=1), burn.hours)

    def threshold(self, burn: _Burn) -> Fraction:
        """The share of broken requests at which it does; from 1 on never."""
        return self.factor(burn) * (1 - self.share)


def _each_second(counter: str, window: str) -> str:
    """How many a second, by the first sample of a new series, too, which `rate` takes for where counting began.

    A status has a series from its first answer on. What a sidecar counted before it was scraped at all is not known.
    """
    first = f"min_over_time({counter}[{window}]) unless {counter} offset {window}"
    scraped = f"on (job, instance) up offset {window} == 1"
    began = f'label_replace(({first} and {scraped}) / {WINDOWS[window]}, "sample", "first", "", "")'
    return f"sum(rate({counter}[{window}]) or {began})"


def objectives(mesh: str, service: str, level: ServiceLevel) -> Iterator[Objective]:
    """Availability first."""
    own = f'mesh="{mesh}",direction="outbound",callee="{service}"'
    requests, durations = "mesh_requests_total", "mesh_request_duration_milliseconds"
    if level.availability is not None:
        yield Objective(
            mesh,
            service,
            "availability",
            level.availability,
            f'{requests}{{{own},status=~"5.."}}',
            f"{requests}{{{own}}}",
            good=False,
            window=level.window,
            text=f"{number(level.availability * 100)}% of requests without a 5xx",
        )
    for each in level.latency:
        bound = each.within // timedelta(milliseconds=1)
        percentile = number(each.share * 100)
        yield Objective(
            mesh,
            service,
            f"latency-p{percentile}",
            each.share,
            f'{durations}_bucket{{{own},le="{bound}"}}',
            f"{durations}_count{{{own}}}",
            good=True,
            window=level.window,
            text=f"{percentile}% of requests within {duration_text(each.within)}",
        )


def rules(mesh: str, watched: Watched) -> Iterator[Rule]:
    """What is recorded of one service's objectives."""
    if watched.slo is None:
        return
    for each in objectives(mesh, watched.service, watched.slo):
        labels = {"mesh": mesh, "callee": watched.service, "slo": each.name}
        yield recording("slo:objective:ratio", f"vector({number(each.share)})", labels)
        for window in WINDOWS:
            yield recording(f"slo:error_ratio:rate{window}", each.ratio(window), labels)


def alerts(mesh: str, watched: Watched) -> Iterator[Rule]:
    """Two for each objective: one for now, one for office hours."""
    if watched.slo is None:
        return
    owner = {"owner": literal(watched.owner)} if watched.owner else {}
    for each in objectives(mesh, watched.service, watched.slo):
        labels = {"mesh": mesh, "callee": watched.service, "slo": each.name, **owner}
        for name, severity, burns, what in (
            ("MeshErrorBudgetBurnsFast", "page", _PAGE, "within days"),
            ("MeshErrorBudgetBurns", "ticket", _TICKET, "before its window ends"),
        ):
            burning = [_burning(each, burn) for burn in burns if each.threshold(burn) < 1]
            if not burning:
                continue
            yield alert(
                name,
                " or ".join(burning),
                labels | {"severity": severity},
                summary=f"{watched.service}: the error budget of {each.name} is gone {what} at this rate",
                description=f"Promised: {each.text} over {duration_text(each.window)}. "
                "{{ $value | humanizePercentage }} of them broke it lately.",
            )


def _burning(objective: Objective, burn: _Burn) -> str:
    threshold = f"{number(objective.factor(burn))} * {number(1 - objective.share)}"
    over = [
        f"slo:error_ratio:rate{window}{objective.selector} > {threshold}"
        for window in (burn.long, burn.short)
    ]
    return f"({over[0]} and {over[1]})"
