"""Requests of somebody without a certificate, straight to the sidecar of a service."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl.diagnostics import UsageError
from meshctl.ir import Feature, InboundListener, Mesh, Protocol, Sidecar
from meshctl.simulate import authorization, entrance, filters, inbound, rate_limiting
from meshctl.simulate.explanation import Explanation, Hop, received
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Outcome
from meshctl.simulate.request import receive
from meshctl.simulate.steps import Step, Topic, place_of
from meshctl.suggestions import meant


def callee(mesh: Mesh, host: str) -> tuple[Sidecar, InboundListener]:
    """Whose sidecar a host means. Raises UsageError where that is no service, or one without requests."""
    name = filters.hostname(host).removesuffix(f".{mesh.domain}")
    services = {each.service: each for each in reversed(mesh.sidecars) if each.inbound is not None}
    if name not in services:
        hint = meant(name, services)
        raise UsageError(
            f"`{host}` is no service: without a certificate the sidecar of a service is asked{hint}"
        )
    own = services[name]
    if own.inbound is None or own.inbound.protocol is Protocol.TCP:
        raise UsageError(f"`{name}` is a stream, without requests")
    return own, own.inbound


def answer(mesh: Mesh, request: Request) -> Outcome:
    """What becomes of ``request``, whose Host says whom it is for. Raises UsageError as :func:`callee` does."""
    own, _ = callee(mesh, (request.in_origin_form().values("host") or [""])[0])
    return receive(mesh, "", own.service, request)


def explain(mesh: Mesh, method: str, url: str, headers: Sequence[tuple[str, str]] = ()) -> Explanation:
    """The same step by step. The URL's host is whom it is sent to, whatever a ``Host`` among ``headers`` says."""
    own, listener = callee(mesh, entrance.plain_authority(url))
    asked = Request(method, url, ()).in_origin_form()
    own_host = any(name.lower() == "host" for name, _ in headers)
    request = Request(method, asked.target, (*(() if own_host else asked.headers), *headers))
    outcome = receive(mesh, "", own.service, request)
    hops = tuple(
        Hop(each, copy=False, steps=(), arrival=(), received=received(each))
        for each in outcome.backends
        if each.received is not None
    )
    return Explanation(
        own,
        listener,
        request,
        url,
        outcome,
        tuple(_steps(own, listener, request, outcome)),
        hops,
        plaintext=True,
        bundles=sum(each.service == own.service for each in mesh.sidecars),
    )


def _steps(own: Sidecar, listener: InboundListener, request: Request, outcome: Outcome) -> list[Step]:
    if outcome.closed:
        return [Step(Topic.TLS, f"{outcome.reason}: the connection is closed", from_spec=False)]
    at = place_of(listener.asks, Feature.MTLS_PERMISSIVE, Feature.MTLS_DISABLED)
    taken = Step(Topic.TLS, f"`{own.service}` takes plaintext, from callers whom nobody knows", at)
    refused = inbound.gate(request)
    if refused:
        return [taken, Step(Topic.GATE, f"{refused}: 400", from_spec=False)]
    gate = Step(Topic.GATE, "the request is canonical", from_spec=False)
    told = authorization.told(own.service, listener, None, request, ("services", own.service, "allow"))
    (backend,) = outcome.backends
    return [taken, gate, *told, *rate_limiting.told(backend.limit)]
