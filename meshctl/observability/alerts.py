"""`alerts.rules.yaml`: budgets that burn, and what somebody has to look at before they do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl.artifacts import Document
from meshctl.ir import duration_text
from meshctl.ir.observability import Observed
from meshctl.observability import slo
from meshctl.observability.rules import MADE, Rule, alert, group

PATH = "alerts.rules.yaml"

_SOON = timedelta(minutes=2)
_LASTING = timedelta(minutes=10)
_REFUSED_SHARE = 0.01


def emit(observed: Observed) -> Document:
    """The file."""
    return Document(PATH, (MADE,), {"groups": list(groups(observed).values())})


def groups(observed: Observed) -> dict[str, Rule]:
    """By name."""
    mesh = observed.mesh
    promising = [each for each in observed.watched if each.slo is not None]
    found = [
        group("mesh-sidecars", _sidecars(observed)),
        group("mesh-requests", _requests(observed)),
        *(group(f"slo-{each.service}-alerts", slo.alerts(mesh, each)) for each in promising),
    ]
    return {str(each["name"]): each for each in found}


def _sidecars(observed: Observed) -> Iterator[Rule]:
    own = f'{{mesh="{observed.mesh}"}}'
    yield alert(
        "MeshSidecarDown",
        f'up{{job="meshctl",mesh="{observed.mesh}"}} == 0',
        {"severity": "page"},
        summary="The sidecar of {{ $labels.service }} at {{ $labels.instance }} does not answer",
        description="Prometheus cannot fetch its metrics: the sidecar is down, or the way to its health port is shut.",
        lasting=_SOON,
    )
    yield alert(
        "MeshSidecarOnOtherBuild",
        f"mesh_build_info{own} unless on (mesh, service, build) mesh:build:expected{own}",
        {"severity": "ticket"},
        summary="The sidecar of {{ $labels.service }} at {{ $labels.instance }} runs a build that is not the spec's",
        description="It runs {{ $labels.build }}: deploy and reload it, or make these rules anew from the spec that is deployed.",
        lasting=timedelta(minutes=15),
    )
    yield from _certificates(own, observed.renew_before)


def _certificates(own: str, renew_before: timedelta) -> Iterator[Rule]:
    """Half of the time in which it should have been renewed has gone, and nine tenths."""
    left = f"mesh_certificate_expiry_timestamp_seconds{own} - time()"
    for severity, limit in (("ticket", renew_before / 2), ("page", renew_before / 10)):
        yield alert(
            "MeshCertificateExpires",
            f"{left} < {limit // timedelta(seconds=1)}",
            {"severity": severity},
            summary="The certificate of {{ $labels.service }} at {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
            description=f"It was to be renewed {duration_text(renew_before)} before. `meshctl certs status` says why it was not, "
            "`meshctl certs renew` does it; then reload.",
        )


def _requests(observed: Observed) -> Iterator[Rule]:
    mesh = observed.mesh
    yield alert(
        "MeshEndpointsEjected",
        # An endpoint that goes on failing is let in again and again for a moment.
        f'max_over_time(mesh_endpoints_ejected{{mesh="{mesh}"}}[2m]) > 0',
        {"severity": "ticket"},
        summary="{{ $labels.service }} keeps {{ $value }} endpoints of {{ $labels.callee }} out",
        description="They failed again and again; outlier detection sends them no requests, and the others have more to do.",
        lasting=timedelta(minutes=5),
    )
    limited = "|".join(each.service for each in observed.watched if each.rate_limited)
    if limited:
        own = f'mesh="{mesh}",direction="inbound",service=~"{limited}"'
        by = "sum by (mesh, service, caller)"
        refused = f'{by} (rate(mesh_requests_total{{{own},status="429"}}[5m]))'
        yield alert(
            "MeshCallerRateLimited",
            f"{refused} / {by} (rate(mesh_requests_total{{{own}}}[5m])) > {_REFUSED_SHARE}",
            {"severity": "ticket"},
            summary="{{ $labels.service }} refuses {{ $value | humanizePercentage }} of the requests of {{ $labels.caller }}",
            description="It is answered 429: it asks more than the `rateLimit` of {{ $labels.service }} lets in, or the application itself says so.",
            lasting=_LASTING,
        )
