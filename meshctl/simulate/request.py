"""One request through its caller's sidecar and the callee's, as docs/wire-contract.md says.

Assumes that every sidecar is up; what failing endpoints do is told by the policy in the outcome. A gateway is
a caller like a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from meshctl.diagnostics import UsageError
from meshctl.ir import Mesh, OutboundListener, Protocol, Route, Sidecar
from meshctl.simulate import (
    egress,
    fault_injection,
    filters,
    health,
    inbound,
    mirroring,
    retries,
    routing,
    splitting,
    tcp,
    timeouts,
)
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend, Outcome


def request(
    mesh: Mesh, caller: str, method: str, url: str, headers: Sequence[tuple[str, str]] = ()
) -> Outcome:
    """What becomes of ``method url`` from the application of the service ``caller``.

    Nothing in the URL is decoded or tidied: what is written is sent. Raises UsageError for an unknown
    caller and for a URL that is not ``http://host…``.
    """
    scheme, separator, rest = url.partition("://")
    if scheme != "http" or not separator:
        raise UsageError(f"`{url}` is not a URL of the form http://host/path")
    if not rest or rest[0] in "/?#":
        raise UsageError(f"`{url}` names no host")
    asked = Request(method, url, ()).in_origin_form()
    return answer(mesh, caller, Request(method, asked.target, (*asked.headers, *headers)))


def answer(mesh: Mesh, caller: str, request: Request, local_port: str = "") -> Outcome:
    """What becomes of a request to the caller's own sidecar, or to the local port that it has for a callee.

    Raises UsageError for an unknown caller and for a callee without a local port.
    """
    sidecar = _sidecar(mesh, caller)
    listener = _local_port(sidecar, local_port) if local_port else sidecar.outbound
    if request.method == "CONNECT":
        return Outcome(405, "CONNECT is refused")
    request = request.in_origin_form()
    refused = inbound.gate(request)
    if refused:
        return Outcome(400, refused)
    name = filters.hostname(request.values("host")[0])
    host = routing.virtual_host(listener, name)
    if host is None:
        found = egress.unknown(listener, name)
        if isinstance(found, int):
            why = f"`{caller}` does not call `{name}`" if found == 403 else f"no host `{name}`"
            return Outcome(found, why)
        return _follow(mesh, sidecar, listener, "", found, request)
    route = routing.route(host, request)
    if route is None:
        return Outcome(404, f"no route of `{host.service}` matches", virtual_host=host.service)
    return _follow(mesh, sidecar, listener, host.service, route, request)


def receive(mesh: Mesh, caller: str, callee: str, request: Request) -> Outcome:
    """What the callee's sidecar makes of a request straight from the caller's certificate; no caller: in plaintext."""
    own = _sidecar(mesh, callee)
    if own.inbound is None:
        raise UsageError(f"nothing listens for `{callee}`")
    known = _sidecar(mesh, caller).identity if caller else None
    if not inbound.hears(own.inbound, known):
        why = f"`{callee}` takes mutual TLS only" if known is None else f"`{callee}` takes plaintext only"
        return Outcome(closed=True, reason=why)
    if own.inbound.protocol is Protocol.TCP:
        return tcp.receive(own, own.inbound, known)
    taken = inbound.take(callee, own.inbound, known, request.in_origin_form())
    backend = Backend(
        callee,
        Fraction(1),
        own.identity,
        taken.status,
        taken.reason,
        taken.received,
        audited=taken.audited,
        limit=taken.limit,
    )
    return Outcome(taken.status, taken.reason, backends=(backend,))


def probe(mesh: Mesh, service: str, request: Request) -> Outcome:
    """What the health listener of a service answers. Raises UsageError where there is none."""
    return health.probe(_sidecar(mesh, service), request)


def connect(mesh: Mesh, caller: str, callee: str, server_name: str = "") -> Outcome:
    """What becomes of a connection to the caller's TCP local port for ``callee``.

    ``server_name`` is what a TLS client asks for, empty where it names nobody; it counts where TLS is passed
    through. Raises UsageError where there is no such port.
    """
    return tcp.connect(mesh, _sidecar(mesh, caller), callee, server_name)


def _follow(
    mesh: Mesh, caller: Sidecar, listener: OutboundListener, host: str, route: Route, request: Request
) -> Outcome:
    if route.answer is not None:
        answered, headers, body = filters.answer(route, route.answer, request, _entrance(caller, listener))
        why = f"route `{route.name}` answers"
        return Outcome(answered, why, headers, body, virtual_host=host, route=route.name)
    delay, aborted = fault_injection.delay(route), fault_injection.abort(route)
    if aborted is not None:
        why = f"route `{route.name}` aborts it"
        return Outcome(aborted, why, virtual_host=host, route=route.name, delay=delay)
    sent = filters.changed(route, request.next_hop(upgrade=True))
    backends = splitting.backends(mesh, caller, route, sent)
    statuses: set[int | None] = {each.status for each in backends} if backends else {503}
    status = statuses.pop() if len(statuses) == 1 else None
    reasons = (each.reason for each in backends) if backends else [f"route `{route.name}` has no backend"]
    return Outcome(
        status=status,
        reason="; ".join(dict.fromkeys(reasons)) if status else "",
        virtual_host=host,
        route=route.name,
        backends=backends,
        response_headers=route.response_headers,
        timeout=timeouts.limit(route.timeout),
        per_try_timeout=timeouts.limit(route.retries.per_try_timeout),
        body_timeout=timeouts.limit(route.body_timeout),
        streaming=route.streaming,
        attempts=retries.attempts(route.retries, request.method),
        delay=delay,
        abort=route.fault.abort if route.fault is not None else None,
        mirrors=mirroring.copies(mesh, caller, route, sent),
        retry_on=retries.conditions(route.retries, request.method),
        retry_statuses=retries.statuses(route.retries, request.method),
        retry_grpc_statuses=retries.grpc_statuses(route.retries, request.method),
    )


def _entrance(sidecar: Sidecar, listener: OutboundListener) -> filters.Entrance:
    faces_the_world = listener is sidecar.outbound and not listener.domain
    return filters.Entrance("https" if listener.tls else "http", listener.bind.port if faces_the_world else 0)


def _local_port(sidecar: Sidecar, callee: str) -> OutboundListener:
    for each in sidecar.locals:
        if any(host.service == callee for host in each.virtual_hosts):
            return each
    raise UsageError(f"`{sidecar.service}` has no local port for `{callee}`")


def _sidecar(mesh: Mesh, service: str) -> Sidecar:
    # All sidecars of a service route and authorize alike; only their addresses differ.
    for each in mesh.sidecars:
        if each.service == service:
            return each
    raise UsageError(f"there is no service `{service}` in the mesh")
