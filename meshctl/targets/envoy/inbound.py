"""Where callers reach this sidecar: a chain of filters for those with a certificate, one for those without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl.ir import Authorization, InboundListener, MtlsMode, Protocol, Sidecar
from meshctl.targets.envoy import (
    access_logs,
    authorization,
    grpc,
    hop_status,
    http2,
    jwt,
    listeners,
    logged_requests,
    matching,
    metrics,
    mtls,
    path_gate,
    rate_limiting,
    routing,
    tcp,
    tracing,
    websocket,
)
from meshctl.targets.envoy.protobuf import Message

_FIRST_WORD = timedelta(seconds=2)
"""For the client of a stream to say anything. Who waits longer to be spoken to first is taken for plaintext."""

_ANY_TLS: Message = {"filter_chain_match": {"transport_protocol": "tls"}}
_NO_TLS: Message = {"filter_chain_match": {"transport_protocol": "raw_buffer"}}


def listener(sidecar: Sidecar, inbound: InboundListener) -> Message:
    """``envoy.config.listener.v3.Listener``."""
    streams = inbound.protocol is Protocol.TCP
    chains = list(_streams(sidecar, inbound) if streams else _requests(sidecar, inbound))
    message = listeners.listener_of("inbound", inbound.binds, chains)
    if inbound.mtls is MtlsMode.PERMISSIVE:
        wait = _FIRST_WORD if streams else inbound.idle_timeout
        message |= listeners.inspects_tls(wait, then_plaintext=streams)
    if streams and inbound.mtls is not MtlsMode.STRICT and not _lets_plaintext_in(inbound):
        message |= {"access_log": access_logs.refused_plaintext_logs(sidecar)}
    return message


def _requests(sidecar: Sidecar, inbound: InboundListener) -> Iterator[Message]:
    its, trust_domain = inbound.authorization, sidecar.identity.trust_domain
    permissive = inbound.mtls is MtlsMode.PERMISSIVE
    if inbound.mtls is not MtlsMode.DISABLED:
        manager = _manager(sidecar, inbound, its, authorization.anyone(trust_domain))
        tls = mtls.downstream(mtls.anyone(trust_domain), sidecar.tls, listeners.PROTOCOLS)
        matched = _ANY_TLS if permissive else {}
        one = mtls.names_one(trust_domain)
        yield listeners.chain(listeners.HTTP, manager, first=(one,), **matched, transport_socket=tls)
    if inbound.mtls is not MtlsMode.STRICT:
        manager = _manager(sidecar, inbound, its.of_plaintext(), None)
        yield listeners.chain(listeners.HTTP, manager, **(_NO_TLS if permissive else {}))


def _manager(
    sidecar: Sidecar, inbound: InboundListener, its: Authorization, known: Message | None
) -> Message:
    """For callers like ``known``, whose identity is told; without it for those who have none."""
    headers = matching.HeaderTable(authorization.header_conditions(its))
    multiplexed = inbound.protocol.multiplexed
    anyone = known or authorization.ANYBODY
    told = known is not None
    return listeners.connection_manager(
        "inbound",
        routes=routing.to_application(inbound),
        http_filters=[
            *logged_requests.filters(sidecar),
            path_gate.http_filter(),
            *headers.http_filters(),
            *jwt.http_filters(its),
            *authorization.http_filters(its, anyone, headers),
            *jwt.forget(its),
            authorization.identity_headers(told=told),
            *rate_limiting.http_filters(inbound.rate_limit, its, anyone, headers, told=told),
            *([grpc.plain_hop_status()] if multiplexed else []),
        ],
        idle=inbound.idle_timeout,
        access_logs=[
            *access_logs.inbound_logs(sidecar, its, plaintext=not told),
            *metrics.counting(sidecar, inbound, plaintext=not told),
        ],
        local_replies=[
            path_gate.local_reply(),
            *authorization.local_replies(its, sidecar.service),
            hop_status.dead_application(multiplexed=multiplexed),
        ],
        fields={
            **(http2.downstream() if multiplexed else http2.offered()),
            **(websocket.accepted() if inbound.protocol is Protocol.HTTP else {}),
            **tracing.tracer(sidecar, tracing.Direction.INBOUND, access_logs.PATH),
        },
    )


def _streams(sidecar: Sidecar, inbound: InboundListener) -> Iterator[Message]:
    its = inbound.authorization
    permissive = inbound.mtls is MtlsMode.PERMISSIVE
    if inbound.mtls is not MtlsMode.DISABLED:
        names = authorization.tcp_names(its, sidecar.identity.trust_domain)
        logs = access_logs.inbound_stream_logs(sidecar, its)
        chain = tcp.from_tls(inbound, mtls.downstream(names, sidecar.tls), logs)
        yield {**(_ANY_TLS if permissive else {}), **chain}
    if inbound.mtls is MtlsMode.DISABLED and not _lets_plaintext_in(inbound):
        # Envoy starts with no listener that has no chain. Nothing looks for TLS, so this one takes nobody.
        yield {**_ANY_TLS, **tcp.from_plaintext(inbound, [])}
    elif inbound.mtls is not MtlsMode.STRICT and _lets_plaintext_in(inbound):
        logs = access_logs.plaintext_stream_logs(sidecar, audited=not _grants_plaintext(its))
        yield {**(_NO_TLS if permissive else {}), **tcp.from_plaintext(inbound, logs)}


def _lets_plaintext_in(inbound: InboundListener) -> bool:
    """Whether streams without TLS get to the application. The rules of streams ask for callers alone."""
    return inbound.authorization.audit or _grants_plaintext(inbound.authorization)


def _grants_plaintext(its: Authorization) -> bool:
    plain = its.of_plaintext()
    return bool(plain.exempt or (plain.rules and not plain.deny))
