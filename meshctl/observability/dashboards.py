"""Grafana dashboards: the whole mesh, and one service."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from meshctl.artifacts import Artifact
from meshctl.ir.observability import Observed
from meshctl.observability.panels import Panel, Part, Query, dashboard, variable

_FOLDER = "dashboards"
_DURATION = "mesh_request_duration_milliseconds"
_RATIO = "percentunit"
_BAD_SHARE = ((0.001, "yellow"), (0.01, "red"))
_ANY = ((1.0, "red"),)
_MOST_UID = 40
"""Characters, by Grafana's schema."""


def emit(observed: Observed) -> Iterator[Artifact]:
    """The two files."""
    mesh = observed.mesh
    own = variable("mesh", "Mesh", "label_values(mesh_requests_active, mesh)")
    service = variable("service", "Service", 'label_values(mesh_requests_active{mesh="$mesh"}, service)')
    whole = dashboard(_uid("mesh", mesh), f"Mesh {mesh}", [own], _MESH)
    one = dashboard(_uid("service", mesh), f"Mesh {mesh}: one service", [own, service], _SERVICE)
    for name, content in (("mesh", whole), ("service", one)):
        yield Artifact(f"{_FOLDER}/{name}.json", _json(content))


def _uid(kind: str, mesh: str) -> str:
    return f"meshctl-{kind}-{mesh}"[:_MOST_UID].rstrip("-")


def _json(content: Part) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def _outbound(*more: str) -> str:
    return "{" + ",".join(('mesh="$mesh"', 'direction="outbound"', *more)) + "}"


def _signals(by: str, selector: str, legend: str) -> tuple[Panel, ...]:
    """Traffic, errors, latency and saturation of the requests that ``selector`` selects, ``by`` labels."""
    failed = selector.replace("}", ',status=~"5.."}')
    total = f"sum by ({by}) (rate(mesh_requests_total{selector}[$__rate_interval]))"
    errors = f"sum by ({by}) (rate(mesh_requests_total{failed}[$__rate_interval]))"
    slow = f"sum by ({by}, le) (rate({_DURATION}_bucket{selector}[$__rate_interval]))"
    busy = f"sum by ({by}) (rate({_DURATION}_sum{selector}[$__rate_interval])) / 1000"
    return (
        Panel(
            "Traffic",
            "timeseries",
            "reqps",
            (Query(total, legend),),
            "Requests a second, as callers make them.",
        ),
        Panel(
            "Errors",
            "timeseries",
            _RATIO,
            (Query(f"({errors} or 0 * {total}) / {total}", legend),),
            "The share that callers see answered 5xx, after all retries.",
            limits=_BAD_SHARE,
        ),
        Panel(
            "Latency p50", "timeseries", "ms", (Query(f"histogram_quantile(0.5, {slow})", legend),), _LATENCY
        ),
        Panel(
            "Latency p99", "timeseries", "ms", (Query(f"histogram_quantile(0.99, {slow})", legend),), _LATENCY
        ),
        Panel(
            "Saturation",
            "timeseries",
            "short",
            (Query(busy, legend),),
            "Requests under way at a time, on the average.",
        ),
    )


_LATENCY = "As callers see it, all tries included; between the bounds of the histogram it is an estimate."

_BUDGETS = Panel(
    "Error budgets",
    "timeseries",
    "short",
    (Query('slo:burn_rate:rate1h{mesh="$mesh"}', "{{callee}} {{slo}}"),),
    "How many times faster than evenly the error budget went in the last hour; at 1 it lasts as long as its window.",
    limits=((1.0, "yellow"), (14.4, "red")),
)

_MESH: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel(
                "Sidecars down",
                "stat",
                "none",
                (Query('count(up{job="meshctl",mesh="$mesh"} == 0) or vector(0)', instant=True),),
                "Sidecars that do not answer Prometheus.",
                width=6,
                height=4,
                limits=_ANY,
            ),
            Panel(
                "Endpoints ejected",
                "stat",
                "none",
                (Query('sum(mesh_endpoints_ejected{mesh="$mesh"}) or vector(0)', instant=True),),
                "Counted at each caller that sends them nothing.",
                width=6,
                height=4,
                limits=_ANY,
            ),
            Panel(
                "Rate-limited",
                "stat",
                "reqps",
                (
                    Query(
                        'sum(rate(mesh_requests_total{mesh="$mesh",direction="inbound",status="429"}[5m])) or vector(0)',
                        instant=True,
                    ),
                ),
                "Requests a second that are answered 429.",
                width=6,
                height=4,
                limits=((0.01, "yellow"),),
            ),
            Panel(
                "Next certificate ends in",
                "stat",
                "s",
                (
                    Query(
                        'min(mesh_certificate_expiry_timestamp_seconds{mesh="$mesh"}) - time()', instant=True
                    ),
                ),
                "Of the certificates that sidecars have loaded.",
                width=6,
                height=4,
            ),
        ),
    ),
    ("Golden signals by service", (*_signals("callee", _outbound('callee!=""'), "{{callee}}"), _BUDGETS)),
    (
        "Who calls whom",
        (
            Panel(
                "Requests a second",
                "table",
                "reqps",
                (
                    Query(
                        f"sum by (caller, callee) (rate(mesh_requests_total{_outbound()}[5m]))", instant=True
                    ),
                ),
                "A row for each pair; a caller without a callee asks for what the mesh does not have.",
                width=12,
            ),
            Panel(
                "Builds",
                "table",
                "none",
                (Query('count by (service, build) (mesh_build_info{mesh="$mesh"})', instant=True),),
                "How many sidecars of a service run which build.",
                width=12,
            ),
        ),
    ),
)

_TO = _outbound('callee="$service"')
_SERVICE: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("$service, by caller and route", _signals("caller, route", _TO, "{{caller}} {{route}}")),
    (
        "Its answers",
        (
            Panel(
                "Statuses",
                "timeseries",
                "reqps",
                (Query(f"sum by (status) (rate(mesh_requests_total{_TO}[$__rate_interval]))", "{{status}}"),),
                "As callers get them.",
            ),
            Panel(
                "Tries that arrive",
                "timeseries",
                "reqps",
                (
                    Query(
                        'sum(rate(mesh_requests_total{mesh="$mesh",direction="inbound",service="$service"}[$__rate_interval]))',
                        "arrived",
                    ),
                    Query(f"sum(rate(mesh_requests_total{_TO}[$__rate_interval]))", "asked for"),
                ),
                "What arrives beyond what is asked for are retries and copies; what does not arrive, callers answered themselves.",
            ),
            Panel(
                "Under way",
                "timeseries",
                "short",
                (
                    Query(
                        'sum by (instance) (mesh_requests_active{mesh="$mesh",direction="inbound",service="$service"})',
                        "{{instance}}",
                    ),
                ),
                "At each of its sidecars, now.",
            ),
        ),
    ),
    (
        "What it needs",
        (
            *_signals("callee", _outbound('caller="$service"', 'callee!=""'), "{{callee}}"),
            Panel(
                "Ejected endpoints",
                "timeseries",
                "none",
                (
                    Query(
                        'mesh_endpoints_ejected{mesh="$mesh",service="$service"}',
                        "{{callee}} {{subset}} {{instance}}",
                    ),
                ),
                "Of its callees, at each of its sidecars.",
            ),
        ),
    ),
    (
        "Promises",
        (
            Panel(
                "Error budgets",
                "timeseries",
                "short",
                (Query('slo:burn_rate:rate1h{mesh="$mesh",callee="$service"}', "{{slo}}"),),
                _BUDGETS.description,
                limits=_BUDGETS.limits,
            ),
        ),
    ),
)
