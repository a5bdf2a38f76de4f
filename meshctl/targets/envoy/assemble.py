"""The order of everything, written once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

import orjson

from meshctl.artifacts import Artifact
from meshctl.ir import (
    Cluster,
    HealthListener,
    OutboundListener,
    Protocol,
    Sidecar,
    TcpListener,
)
from meshctl.targets.envoy import (
    access_logs,
    admin,
    authorization,
    discovery,
    egress,
    fault_injection,
    filters,
    gateways,
    health,
    hop_status,
    http2,
    inbound,
    load_balancing,
    logged_requests,
    matching,
    metrics,
    mtls,
    path_gate,
    process,
    reload,
    routing,
    tcp,
    timeouts,
    tracing,
    websocket,
)
from meshctl.targets.envoy.listeners import (
    FAREWELL,
    PROTOCOLS,
    SHORT_FAREWELL,
    connection_manager,
    http_listener,
)
from meshctl.targets.envoy.protobuf import Message, line, typed
from meshctl.targets.envoy.routes import routes, routes_of

MAX_CONNECTIONS = 50_000
"""From callers and the application together; over it Envoy closes new ones. It warns without a limit."""

_RUNTIME: Message = {
    # Envoy counts regexes over 100 instructions as errors. The gate's has more, and those of a spec are
    # bounded by the language.
    "re2.max_program_size.error_level": 1_000_000,
    "re2.max_program_size.warn_level": 1_000_000,
    # Only a start can change these, so that they wait for whoever turns tracing on.
    **tracing.RUNTIME,
}


def emit(sidecar: Sidecar) -> tuple[Artifact, ...]:
    """The bundle's ``envoy`` folder."""
    tls = sidecar.outbound.tls
    secrets = mtls.secrets(sidecar.tls) | ({gateways.secret_file(tls): gateways.secret(tls)} if tls else {})
    run = process.run((tls.certificate, tls.key) if tls else ())
    files = configuration(sidecar) | {name: _dump(message) for name, message in secrets.items()}
    return (
        *(Artifact(f"envoy/{path}", content) for path, content in sorted(files.items())),
        Artifact("envoy/reload", reload.script(sidecar), executable=True),
        Artifact("envoy/run", run, executable=True),
    )


def configuration(sidecar: Sidecar) -> dict[str, bytes]:
    """What Envoy is started with, what it subscribes to, and both in one for its validator."""
    clusters = [
        *map(line, discovery.application_clusters(sidecar.inbound) if sidecar.inbound else ()),
        *_clusters(sidecar),
        *([line(tracing.cluster(sidecar.tracing))] if sidecar.tracing else []),
    ]
    listeners = [line(each) for each in _listeners(sidecar)]
    routes = admin.route_configuration(sidecar, metrics.routes(sidecar))
    manager = _admin_manager(sidecar, routes)
    always = [line(admin.cluster())]
    start = _bootstrap(sidecar, [line(_admin(sidecar, reload.subscribed(manager)))], always)
    whole = _bootstrap(sidecar, [*listeners, line(_admin(sidecar, manager))], [*clusters, *always])
    return {
        process.BOOTSTRAP: _dump(start | {"dynamic_resources": reload.subscriptions()}),
        process.CHECK: _dump(whole),
        **reload.responses(clusters, listeners, routes),
    }


def _bootstrap(
    sidecar: Sidecar, listeners: list[orjson.Fragment], clusters: list[orjson.Fragment]
) -> Message:
    """``envoy.config.bootstrap.v3.Bootstrap``. It takes a start to change anything in it."""
    return {
        "node": {
            "id": f"{sidecar.service}/{sidecar.instance}" if sidecar.instance else sidecar.service,
            "cluster": sidecar.service,
        },
        "admin": admin.interface(),
        "layered_runtime": {"layers": [{"name": "meshctl", "static_layer": _RUNTIME}]},
        **metrics.settings(sidecar.metrics),
        "overload_manager": _overload_manager(),
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _listeners(sidecar: Sidecar) -> Iterator[Message]:
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    if sidecar.inbound:
        yield inbound.listener(sidecar, sidecar.inbound)
    yield _outbound(sidecar, sidecar.outbound, "outbound")
    for each in sidecar.locals:
        (host,) = each.virtual_hosts
        yield _outbound(sidecar, each, f"local:{host.service}")
    for stream in sidecar.tcp:
        yield _stream(sidecar, stream, clusters)
    if sidecar.health:
        yield _health(sidecar, sidecar.health)


def _stream(sidecar: Sidecar, stream: TcpListener, clusters: Mapping[str, Cluster]) -> Message:
    logs = access_logs.local_port_logs(sidecar)
    if stream.sni:
        return tcp.pass_through(stream, clusters, logs, access_logs.refused_stream_logs(sidecar))
    return tcp.local_port(stream, clusters[stream.cluster], logs)


def _outbound(sidecar: Sidecar, outbound: OutboundListener, name: str) -> Message:
    """The application's own listener, one of its local ports, or a gateway's."""
    conditions = (
        header for host in outbound.virtual_hosts for route in host.routes for header in route.match.headers
    )
    headers = matching.HeaderTable(conditions)
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    called = [clusters[name] for name in _called(outbound)]
    following = tuple(filter(egress.follows_the_request, sidecar.clusters))
    tls = outbound.tls
    mixed = outbound.http2 or (tls is not None and any(each.protocol.multiplexed for each in called))
    manager = connection_manager(
        name,
        routes=routing.RouteTable(
            outbound, clusters, headers, counted=sidecar.metrics is not None
        ).configuration(name),
        http_filters=[
            *logged_requests.filters(sidecar),
            path_gate.http_filter(),
            *headers.http_filters(),
            *timeouts.upload_filters(outbound),
            *access_logs.received_filters(outbound),
            *load_balancing.http_filters(called),
            *fault_injection.http_filters(outbound),
            *egress.http_filters(following, sidecar.resolvers),
            *hop_status.bring_back(http2=mixed),
            *filters.redirect_filters(outbound),
        ],
        idle=outbound.idle_timeout,
        access_logs=[*access_logs.outbound_logs(sidecar, outbound), *metrics.counting(sidecar, outbound)],
        local_replies=[path_gate.local_reply(), *fault_injection.local_replies(outbound)],
        farewell=FAREWELL if tls else SHORT_FAREWELL,
        fields={
            **_spoken(outbound, called),
            **tracing.tracer(sidecar, tracing.Direction.OUTBOUND, access_logs.received_path(outbound)),
        },
    )
    chain = {"transport_socket": gateways.downstream(tls, PROTOCOLS)} if tls else {}
    return http_listener(name, outbound.binds, manager, **chain)


def _spoken(outbound: OutboundListener, called: Iterable[Cluster]) -> Message:
    """Besides HTTP/1.1."""
    spoken = http2.offered() if outbound.tls else http2.downstream() if outbound.http2 else {}
    return spoken | (websocket.accepted() if any(each.protocol is Protocol.HTTP for each in called) else {})


def _clusters(sidecar: Sidecar) -> Iterator[orjson.Fragment]:
    following = tuple(filter(egress.follows_the_request, sidecar.clusters))
    budgets: dict[str, Fraction] = {}
    changing: set[str] = set()
    copied: set[str] = set()
    for route in routes(sidecar):
        budget = route.retries.budget
        copied.update(mirror.cluster for mirror in route.mirrors)
        for name in (backend.cluster for backend in route.backends):
            if budget is not None:
                budgets[name] = min(budget.share, budgets.get(name, budget.share))
            if route.response_headers:
                changing.add(name)
    longest_tries = timeouts.longest_tries(routes(sidecar))
    for cluster in sidecar.clusters:
        around = discovery.Surroundings(
            sidecar.tls,
            sidecar.resolvers if cluster.dns else (),
            following if egress.follows_the_request(cluster) else (),
            budgets.get(cluster.name),
            cluster.name in changing,
            cluster.name in copied,
            None if cluster.name in copied else longest_tries.get(cluster.name),
        )
        yield discovery.outbound_cluster(cluster, around)


def _called(listener: OutboundListener) -> Iterable[str]:
    """The clusters that requests of a listener go to."""
    return dict.fromkeys(backend.cluster for route in routes_of(listener) for backend in route.backends)


def _health(sidecar: Sidecar, its: HealthListener) -> Message:
    idle = sidecar.outbound.idle_timeout
    manager = connection_manager(
        "health",
        routes=health.route_configuration(its, idle, metrics.routes(sidecar)),
        http_filters=[
            authorization.identity_headers(told=False),
            *hop_status.bring_back(),
            *metrics.http_filters(sidecar),
        ],
        idle=idle,
        access_logs=[],
        local_replies=[],
    )
    listener = http_listener("health", its.binds, manager)
    return {**listener, "ignore_global_conn_limit": True, **metrics.room(sidecar)}


def _admin_manager(sidecar: Sidecar, routes: Message) -> Message:
    return connection_manager(
        "admin",
        routes=routes,
        http_filters=metrics.http_filters(sidecar),
        idle=admin.IDLE,
        access_logs=[],
        local_replies=[],
    )


def _admin(sidecar: Sidecar, manager: Message) -> Message:
    # Readiness is asked for most when there are too many connections.
    listener = http_listener("admin", (sidecar.admin.bind,), manager)
    return {**listener, "ignore_global_conn_limit": True, **metrics.room(sidecar)}


def _overload_manager() -> Message:
    limit = typed(
        "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=MAX_CONNECTIONS,
    )
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {"resource_monitors": [{"name": name, "typed_config": limit}]}


def _dump(message: Message) -> bytes:
    """One line for each field, and within it as the parts are laid out."""
    fields = (orjson.dumps(name) + b": " + orjson.dumps(value) for name, value in message.items())
    return b"{\n" + b",\n".join(fields) + b"\n}\n"
