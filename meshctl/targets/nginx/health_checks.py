"""Endpoints that are asked how they are, by ``health_checks.lua`` through an inner server.

Lua has no way of its own to show a client certificate on this NGINX without opening the key to every worker's code,
and no HTTP/2; ``proxy_pass`` and ``grpc_pass`` have both, so a question goes in the way that requests go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl import ir
from meshctl.ir import HealthCheckKind
from meshctl.targets.nginx import egress, quoting
from meshctl.targets.nginx.model_policies import HealthCheck
from meshctl.targets.nginx.quoting import Token

_GRPC_PATH = "/grpc.health.v1.Health/Check"


def checks(clusters: Sequence[ir.Cluster]) -> Iterator[HealthCheck]:
    """One for each cluster that asks for it."""
    checked = [each for each in clusters if each.health_check is not None]
    for number, cluster in enumerate(checked, start=1):
        if cluster.health_check is not None:
            yield _check(number, cluster, cluster.health_check)


def _check(number: int, cluster: ir.Cluster, check: ir.HealthCheck) -> HealthCheck:
    grpc = check.kind is HealthCheckKind.GRPC
    tls = egress.scheme(cluster) == "https"
    scheme = ("grpcs" if tls else "grpc") if grpc else egress.scheme(cluster)
    upstream = Token(f"check_{number}")
    return HealthCheck(
        number=number,
        location=Token(f"@check_{number}"),
        upstream=upstream,
        cluster=quoting.lua_string(cluster.name),
        grpc=grpc,
        tcp=check.kind is HealthCheckKind.TCP,
        path=quoting.lua_string(_GRPC_PATH if grpc else check.path),
        host=quoting.lua_string(check.host),
        interval=quoting.lua_seconds(check.interval),
        timeout=quoting.lua_seconds(check.timeout),
        connect_timeout=quoting.lua_seconds(cluster.connect_timeout),
        longest=quoting.duration(check.timeout),
        unhealthy=check.unhealthy_threshold,
        healthy=check.healthy_threshold,
        pass_to=Token(f"{scheme}://{upstream}"),
        server_name=egress.server_name(cluster),
        origin_tls=egress.origin_tls(cluster),
    )
