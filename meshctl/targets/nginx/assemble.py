"""From a sidecar to the model of its file: the order, written once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from meshctl import ir
from meshctl.targets.nginx import (
    access_logs,
    admin,
    authorization,
    health,
    http2,
    metrics,
    mtls,
    outbound,
    path_gate,
    quoting,
    rate_limiting,
    tcp,
    timeouts,
    tls_passthrough,
    tracing,
)
from meshctl.targets.nginx.model import Configuration, Doorway, Inbound
from meshctl.targets.nginx.model_outbound import Outbound
from meshctl.targets.nginx.quoting import Token


def assemble(sidecar: ir.Sidecar) -> Configuration:
    """The whole file."""
    outward = outbound.outbound(sidecar)
    listener = sidecar.inbound
    takes_requests = listener is not None and listener.protocol is not ir.Protocol.TCP
    inward = _inbound(listener, sidecar.identity) if listener is not None and takes_requests else None
    probed = health.health(sidecar)
    reaches_application = inward is not None or (probed is not None and probed.path is not None)
    return Configuration(
        service=quoting.name(sidecar.service),
        build=quoting.lua_string(f"build-{sidecar.build.removeprefix('sha256:')[:16]}"),
        canonical_request=path_gate.canonical_request(),
        log_formats=access_logs.log_formats(sidecar),
        kept=access_logs.kept(sidecar.access_log),
        log_sampling=access_logs.sampling(sidecar),
        tls=mtls.tls(sidecar.tls),
        admin=admin.admin(sidecar),
        programs=tuple(_programs(sidecar, outward, inward)),
        sockets=tuple(_sockets(outward, sidecar.tcp, mtls.doorway(listener) if listener else None)),
        speaks_http2=outward.speaks_http2
        or bool(inward and inward.multiplexed)
        or bool(probed and probed.multiplexed),
        untrusted_headers=authorization.untrusted_headers() if reaches_application else (),
        outbound=outward,
        inbound=inward,
        health=probed,
        metrics=metrics.metrics(sidecar),
        tracing=tracing.share(sidecar.tracing),
        stream=tcp.stream(sidecar, tuple(each.preread for each in outward.listeners if each.preread)),
    )


def _inbound(listener: ir.InboundListener, identity: ir.WorkloadIdentity) -> Inbound:
    listens, plain_listens = mtls.listens(listener)
    marks_exempt = listener.rate_limit is not None
    takes_plaintext = listener.mtls is not ir.MtlsMode.STRICT
    decided = authorization.decisions(
        listener.authorization, identity, marks_exempt=marks_exempt, takes_plaintext=takes_plaintext
    )
    plaintext = authorization.plaintext(listener, decided)
    names = mtls.names_one(listener, identity)
    kept_apart = plaintext is not None and plaintext.buckets is not None
    return Inbound(
        listens=listens,
        plain_listens=plain_listens,
        behind_doorway=mtls.doorway(listener) is not None,
        plaintext=plaintext,
        application=quoting.address(listener.application),
        multiplexed=listener.protocol.multiplexed,
        grpc=listener.protocol is ir.Protocol.GRPC,
        module=http2.module(listener.protocol),
        scheme=http2.scheme(listener.protocol),
        subject=mtls.subject(identity, "on " if plaintext else ""),
        names_one=quoting.lua_string(names) if names else None,
        callers=authorization.callers(listener.authorization),
        decisions=decided,
        rate_limit=rate_limiting.rate_limit(listener.rate_limit, kept_apart=kept_apart),
        identity_header=authorization.identity_header(),
        connect_timeout=quoting.duration(listener.connect_timeout),
        idle_timeout=quoting.duration(listener.idle_timeout),
        keepalive_timeout=quoting.duration(timeouts.outlasting(listener.idle_timeout)),
    )


def _programs(sidecar: ir.Sidecar, outward: Outbound, inward: Inbound | None) -> list[Token]:
    decided = inward.decisions if inward is not None else None
    needed = {
        "reload": True,
        "matching": outward.conditions or (decided is not None and decided.conditions),
        "filters": outward.filters,
        "tries": outward.tries,
        "names": outward.names,
        "fault_injection": outward.faults,
        "load_balancing": outward.policies.watches,
        "peers": outward.policies.watches,
        "circuit_breaking": outward.policies.queues,
        "health_checks": outward.policies.checks,
        "mirroring": outward.policies.mirroring,
        "grpc": (inward is not None and inward.grpc) or any(each.http2 for each in outward.listeners),
        "certificate": sidecar.metrics is not None,
        "metrics": sidecar.metrics is not None,
        "tracing": sidecar.tracing is not None,
        "mtls": inward is not None and inward.names_one,
        "rate_limiting": inward is not None and inward.rate_limit,
    }
    return [quoting.word(name) for name, wanted in needed.items() if wanted]


def _sockets(
    outward: Outbound, streams: tuple[ir.TcpListener, ...], doorway: Doorway | None
) -> Iterator[Token]:
    yield Token("../run/tries.sock")
    if outward.policies.checks:
        yield Token("../run/checks.sock")
    if outward.policies.mirroring:
        yield Token("../run/mirrors.sock")
    if outward.tries_by_http2:
        yield Token("../run/tries_http2.sock")
    listened: list[Iterable[Token]] = [tls_passthrough.sockets(streams).values()]
    listened += [(each.preread.http1, each.preread.http2) for each in outward.listeners if each.preread]
    listened += [doorway.sockets] if doorway is not None else []
    for each in chain.from_iterable(listened):
        yield Token(each.removeprefix("unix:"))
