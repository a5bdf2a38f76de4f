"""Streams of bytes: from local ports to endpoints, and from other sidecars to the application."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.targets.nginx import (
    circuit_breaking,
    egress,
    load_balancing,
    mtls,
    quoting,
    timeouts,
    tls_passthrough,
)
from meshctl.targets.nginx.model import (
    Stream,
    StreamCluster,
    StreamDecision,
    StreamEndpoint,
    StreamInbound,
    StreamListener,
    StreamName,
)
from meshctl.targets.nginx.model_outbound import Preread
from meshctl.targets.nginx.quoting import Token

_ON_PORTS, _ON_SOCKETS = quoting.word("streams"), quoting.word("passed")
"""Zones: one counts connections by port, the other by socket."""


def stream(sidecar: ir.Sidecar, prereads: tuple[Preread, ...]) -> Stream | None:
    """None where the sidecar only speaks HTTP, and one version of it on each port."""
    clusters = {each.name: each for each in sidecar.clusters}
    plain = [each for each in sidecar.tcp if not each.sni]
    inner = tls_passthrough.sockets(sidecar.tcp)
    wanted = dict.fromkeys((*(each.cluster for each in plain), *inner))
    inbound = sidecar.inbound
    takes_streams = inbound is not None and inbound.protocol is ir.Protocol.TCP
    doorway = mtls.doorway(inbound) if inbound is not None else None
    if not (wanted or takes_streams or prereads or doorway):
        return None
    return Stream(
        prereads=prereads,
        passed=tuple(
            tls_passthrough.listener(number, each, clusters, inner)
            for number, each in enumerate(sidecar.tcp, start=1)
            if each.sni
        ),
        clusters=tuple(_cluster(clusters[name]) for name in wanted),
        listeners=(
            *(
                _listener(
                    tuple(quoting.address(bind) for bind in each.binds),
                    _ON_PORTS,
                    clusters[each.cluster],
                    sidecar.resolvers,
                )
                for each in plain
            ),
            *(
                _listener((socket,), _ON_SOCKETS, clusters[name], sidecar.resolvers)
                for name, socket in inner.items()
            ),
        ),
        inbound=_inbound(inbound, sidecar.identity) if inbound is not None and takes_streams else None,
        doorway=doorway,
    )


def _cluster(cluster: ir.Cluster) -> StreamCluster:
    detection = cluster.outlier_detection
    # Nobody of a later level is asked as long as nothing says that the first one is out.
    usable = [each for each in cluster.endpoints if detection or not each.priority]
    levels = any(each.priority for each in usable)
    return StreamCluster(
        name=quoting.name(cluster.name),
        method=load_balancing.stream_method(cluster.load_balancing, levels=levels),
        endpoints=tuple(
            StreamEndpoint(
                address=quoting.address(each.socket),
                weight=each.weight,
                max_fails=detection.consecutive_errors if detection else 0,
                fail_timeout=quoting.whole_seconds(detection.ejection_time) if detection else None,
                backup=bool(each.priority),
            )
            for each in usable
        ),
    )


def _name(cluster: ir.Cluster, resolvers: tuple[ir.SocketAddress, ...]) -> StreamName | None:
    """What NGINX's own resolver is to look up. It knows no answer that is older than ``refresh``."""
    if cluster.dns is None:
        return None
    return StreamName(
        host=quoting.name(cluster.dns.name),
        port=cluster.dns.port,
        resolvers=tuple(quoting.address(each) for each in resolvers),
        refresh=quoting.whole_seconds(cluster.dns.refresh),
    )


def _listener(
    listens: tuple[Token, ...], zone: Token, cluster: ir.Cluster, resolvers: tuple[ir.SocketAddress, ...]
) -> StreamListener:
    tls = egress.scheme(cluster) == "https"
    return StreamListener(
        listens=listens,
        zone=zone,
        cluster=quoting.name(cluster.name),
        name=_name(cluster, resolvers),
        reachable=bool(cluster.endpoints) or cluster.dns is not None,
        server_name=egress.server_name(cluster) if tls else None,
        origin_tls=egress.origin_tls(cluster),
        limit=circuit_breaking.limit(cluster.circuit_breaker),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        idle_timeout=quoting.duration(cluster.idle_timeout),
    )


def _inbound(listener: ir.InboundListener, identity: ir.WorkloadIdentity) -> StreamInbound:
    listens, plain_listens = mtls.listens(listener)
    names = mtls.names_one(listener, identity)
    plain = listener.authorization.of_plaintext()
    return StreamInbound(
        listens=listens,
        plain_listens=plain_listens,
        grants_plaintext=bool(plain.exempt or (plain.rules and not plain.deny)),
        application=quoting.address(listener.application),
        known_by=Token("$caller_subject" if names else "$ssl_client_s_dn"),
        subject=mtls.subject(identity),
        names_one=quoting.value(names) if names else None,
        audit=listener.authorization.audit,
        decisions=tuple(_decisions(listener, identity)),
        connect_timeout=quoting.duration(listener.connect_timeout),
        idle_timeout=quoting.duration(timeouts.outlasting(listener.idle_timeout)),
    )


def _decisions(listener: ir.InboundListener, identity: ir.WorkloadIdentity) -> Iterator[StreamDecision]:
    """Subjects and what becomes of them; the first that holds decides."""
    authorization = listener.authorization
    anyone = quoting.map_regex(rf"^CN=[a-z0-9-]+,O={quoting.literal_regex(identity.trust_domain)}\z")
    ordered = [
        *((rule, True) for rule in authorization.exempt),
        *((rule, False) for rule in authorization.deny),
        *((rule, True) for rule in authorization.rules),
    ]
    for rule, allowed in ordered:
        if rule.anyone:
            yield StreamDecision(anyone, allowed)
        for each in rule.principals:
            subject = quoting.literal_regex(each.distinguished_name)
            yield StreamDecision(quoting.map_regex(rf"^{subject}\z"), allowed)
