"""The order of everything, written once."""

from __future__ import annotations

import orjson

from meshctl.artifacts import Artifact
from meshctl.ir import InboundListener, Sidecar
from meshctl.targets.envoy import (
    access_logs,
    admin,
    authorization,
    discovery,
    hop_status,
    mtls,
    path_gate,
    process,
    routing,
)
from meshctl.targets.envoy.header_match import HeaderTable
from meshctl.targets.envoy.listeners import SHORT_FAREWELL, connection_manager, listener
from meshctl.targets.envoy.protobuf import Message, line, typed

MAX_CONNECTIONS = 50_000
"""From callers and the application together; over it Envoy closes new ones. It warns without a limit."""

_RUNTIME: Message = {
    # Envoy counts regexes over 100 instructions as errors, for fear of what users write; ours are our own.
    "re2.max_program_size.error_level": 10_000,
    "re2.max_program_size.warn_level": 10_000,
}


def emit(sidecar: Sidecar) -> tuple[Artifact, ...]:
    """The bundle's ``envoy`` folder."""
    files = {process.BOOTSTRAP: bootstrap(sidecar), **mtls.secrets()}
    return (
        *(Artifact(f"envoy/{path}", _dump(message)) for path, message in sorted(files.items())),
        Artifact("envoy/run", process.RUN.encode(), executable=True),
    )


def bootstrap(sidecar: Sidecar) -> Message:
    """``envoy.config.bootstrap.v3.Bootstrap``."""
    inbound = sidecar.inbound
    return {
        "node": {
            "id": f"{sidecar.service}/{sidecar.instance}" if sidecar.instance else sidecar.service,
            "cluster": sidecar.service,
            "metadata": {"meshctl_build": sidecar.build},
        },
        "admin": admin.interface(),
        "layered_runtime": {"layers": [{"name": "meshctl", "static_layer": _RUNTIME}]},
        "overload_manager": _overload_manager(),
        "static_resources": {
            "listeners": [
                *([line(_inbound(sidecar, inbound))] if inbound else []),
                line(_outbound(sidecar)),
                line(_admin(sidecar)),
            ],
            "clusters": [
                *([line(_application(inbound))] if inbound else []),
                *(discovery.outbound_cluster(cluster, sidecar.tls) for cluster in sidecar.clusters),
                line(admin.cluster()),
            ],
        },
    }


def _inbound(sidecar: Sidecar, inbound: InboundListener) -> Message:
    manager = connection_manager(
        "inbound",
        routes=routing.to_application(inbound),
        http_filters=[
            path_gate.http_filter(),
            authorization.http_filter(inbound.authorization),
            authorization.identity_header(),
        ],
        idle=inbound.idle_timeout,
        access_logs=access_logs.access_logs(sidecar, "inbound"),
        local_replies=[path_gate.local_reply(), hop_status.dead_application()],
    )
    tls = mtls.downstream(sidecar.identity.trust_domain, sidecar.tls)
    return listener("inbound", inbound.bind, manager, transport_socket=tls)


def _application(inbound: InboundListener) -> Message:
    return discovery.application_cluster(inbound, hop_status.carry_over())


def _outbound(sidecar: Sidecar) -> Message:
    outbound = sidecar.outbound
    headers = HeaderTable(outbound.virtual_hosts)
    idle = {cluster.name: cluster.idle_timeout for cluster in sidecar.clusters}
    manager = connection_manager(
        "outbound",
        routes=routing.route_configuration(outbound, idle, headers),
        http_filters=[
            path_gate.http_filter(),
            *headers.http_filters(),
            *hop_status.bring_back(),
        ],
        idle=outbound.idle_timeout,
        access_logs=access_logs.access_logs(sidecar, "outbound"),
        local_replies=[path_gate.local_reply()],
        farewell=SHORT_FAREWELL,
    )
    return listener("outbound", outbound.bind, manager)


def _admin(sidecar: Sidecar) -> Message:
    manager = connection_manager(
        "admin",
        routes=admin.route_configuration(sidecar),
        http_filters=[],
        idle=sidecar.outbound.idle_timeout,
        access_logs=[],
        local_replies=[],
    )
    message = listener("admin", sidecar.admin.bind, manager)
    # Readiness is asked for most when there are too many connections.
    return {**message, "ignore_global_conn_limit": True}


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
