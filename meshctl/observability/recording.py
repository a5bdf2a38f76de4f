"""`recording.rules.yaml`: what dashboards and alerts ask often, by service, and the objectives of services."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.artifacts import Document
from meshctl.ir.observability import Observed
from meshctl.observability import slo
from meshctl.observability.rules import MADE, Rule, group, recording

PATH = "recording.rules.yaml"


def emit(observed: Observed) -> Document:
    """The file."""
    return Document(PATH, (MADE,), {"groups": list(groups(observed).values())})


def groups(observed: Observed) -> dict[str, Rule]:
    """By name, in the order in which one asks for what another has recorded."""
    promising = [each for each in observed.watched if each.slo is not None]
    found = [
        group("mesh", _of_the_mesh(observed.mesh)),
        group("mesh-builds", _builds(observed)),
        *(group(f"slo-{each.service}", slo.rules(observed.mesh, each)) for each in promising),
    ]
    if promising:
        found.append(group("slo", _budgets(observed.mesh)))
    return {str(each["name"]): each for each in found}


def _of_the_mesh(mesh: str) -> Iterator[Rule]:
    """The golden signals, as callers see them. They have no `callee` where a request was for none."""
    own = f'{{mesh="{mesh}",direction="outbound",callee!=""}}'
    failed = own.replace("}", ',status=~"5.."}')
    durations = "mesh_request_duration_milliseconds"
    total = f"sum by (mesh, callee) (rate(mesh_requests_total{own}[5m]))"
    yield recording("callee:mesh_requests:rate5m", total)
    yield recording(
        "callee:mesh_request_errors:ratio_rate5m",
        f"(sum by (mesh, callee) (rate(mesh_requests_total{failed}[5m])) or 0 * {total}) / {total}",
    )
    for quantile in ("0.5", "0.99"):
        yield recording(
            f"callee:{durations}:p{float(quantile) * 100:.0f}_rate5m",
            f"histogram_quantile({quantile}, sum by (mesh, callee, le) (rate({durations}_bucket{own}[5m])))",
        )
    # Little's law: time spent in a second is how many were under way, on the average.
    yield recording(
        "caller_callee_route:mesh_requests_concurrent:mean5m",
        f"sum by (mesh, caller, callee, route) (rate({durations}_sum{own}[5m])) / 1000",
    )


def _budgets(mesh: str) -> Iterator[Rule]:
    """How many times faster than evenly each budget burns."""
    own = f'{{mesh="{mesh}"}}'
    expression = f"slo:error_ratio:rate1h{own} / (1 - slo:objective:ratio{own})"
    yield recording("slo:burn_rate:rate1h", expression)


def _builds(observed: Observed) -> Iterator[Rule]:
    """Which builds the spec says should run."""
    for each in observed.watched:
        for build in each.builds:
            labels = {"mesh": observed.mesh, "service": each.service, "build": build}
            yield recording("mesh:build:expected", "vector(1)", labels)
