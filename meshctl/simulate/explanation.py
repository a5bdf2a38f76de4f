"""The whole way of one request, step by step: what ``request`` says, and why.

The outcome is the one that ``answer`` gives; the steps are told by the files of their features, out of the same
decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from meshctl import suggestions
from meshctl.ir import (
    Cluster,
    InboundListener,
    Mesh,
    OutboundListener,
    Protocol,
    Route,
    Sidecar,
    VirtualHost,
)
from meshctl.simulate import (
    authorization,
    circuit_breaking,
    egress,
    entrance,
    fault_injection,
    filters,
    health_checks,
    inbound,
    load_balancing,
    mirroring,
    mtls,
    outlier_detection,
    rate_limiting,
    retries,
    routing,
    splitting,
    timeouts,
)
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend, Outcome
from meshctl.simulate.request import answer
from meshctl.simulate.steps import Step, Topic
from meshctl.simulate.timeouts import WorstCase


class Hop(Struct, frozen=True):
    """One way that a request, or with ``copy`` a copy of it, may take from the caller's sidecar."""

    backend: Backend
    copy: bool
    steps: tuple[Step, ...]
    """The choice of an endpoint, and the connection to it."""
    arrival: tuple[Step, ...]
    """At the callee's sidecar; none outside of the mesh."""
    received: tuple[Step, ...]
    """What the application sees; none where a sidecar answers."""

    @property
    def callee(self) -> str:
        """The service, or the external, whose endpoints these are."""
        return self.backend.callee.service if self.backend.callee else self.backend.cluster.partition(".")[0]


class Explanation(Struct, frozen=True):
    """``steps`` are those at the caller's sidecar before the draw, ``hops`` all that may be drawn."""

    sidecar: Sidecar
    listener: OutboundListener | InboundListener
    request: Request
    url: str
    outcome: Outcome
    steps: tuple[Step, ...]
    hops: tuple[Hop, ...] = ()
    back: tuple[Step, ...] = ()
    """What becomes of the application's answer at the caller's sidecar."""
    worst_case: WorstCase | None = None
    """None where a sidecar answers by itself."""
    route: Route | None = None
    """What took it, where something is sent on."""
    bundles: int = 1
    """How many the caller has: they differ in addresses, and in levels of endpoints where zones count."""
    plaintext: bool = False
    """Whether somebody without a certificate asks ``sidecar`` itself, at the listener for other sidecars."""


def explain(
    mesh: Mesh, caller: str, method: str, url: str, headers: Sequence[tuple[str, str]] = ()
) -> Explanation:
    """What becomes of ``method url`` from the application of ``caller``, or from a client of that gateway.

    A ``Host`` among ``headers`` takes the place of the URL's; a URL of one of the caller's local ports is asked there.
    Raises UsageError for an unknown caller and for a URL that the caller's sidecar does not serve.
    """
    sidecar = entrance.caller(mesh, caller)
    authority = entrance.authority(sidecar, url)
    listener = entrance.listener(sidecar, authority)
    asked = Request(method, url, ()).in_origin_form()
    own_host = any(name.lower() == "host" for name, _ in headers)
    request = Request(method, asked.target, (*(() if own_host else asked.headers), *headers))
    port = listener.virtual_hosts[0].service if listener is not sidecar.outbound else ""
    outcome = answer(mesh, caller, request, port)
    return _Way(mesh, sidecar, listener, request, url, outcome).told()


class _Way(Struct, frozen=True):
    """The parts of one explanation while it is put together."""

    mesh: Mesh
    sidecar: Sidecar
    listener: OutboundListener
    request: Request
    url: str
    outcome: Outcome

    def told(self) -> Explanation:
        refused = "CONNECT is refused" if self.request.method == "CONNECT" else inbound.gate(self.request)
        if refused:
            method = self.request.method
            meant = f"; did you mean `{method.upper()}`?" if method != method.upper() else ""
            return self._ended(Step(Topic.GATE, f"{refused}: {self.outcome.status}{meant}", from_spec=False))
        gate = Step(Topic.GATE, "the request is canonical", from_spec=False)
        name = filters.hostname(self.request.values("host")[0])
        host = routing.virtual_host(self.listener, name)
        if host is None:
            found = egress.unknown(self.listener, name)
            if isinstance(found, int):
                return self._ended(gate, self._unknown(name, found))
            text = f"`{name}` is neither a service nor an external, and egress is allowed"
            return self._followed(found, (gate, Step(Topic.HOST, text, path=("mesh", "egress"))), ())
        steps = (gate, self._host(name, host), *routing.told(host, self.request))
        route = routing.route(host, self.request)
        if route is None:
            return self._ended(*steps)
        return self._followed(
            route, steps, (*entrance.section(self.mesh, host.service), "routes", route.name)
        )

    def _ended(self, *steps: Step) -> Explanation:
        return Explanation(
            self.sidecar, self.listener, self.request, self.url, self.outcome, steps, bundles=self._bundles
        )

    @property
    def _bundles(self) -> int:
        return sum(each.service == self.sidecar.service for each in self.mesh.sidecars)

    def _unknown(self, name: str, status: int) -> Step:
        own, domain = self.sidecar.service, self.mesh.domain
        callee = name.removesuffix(f".{domain}")
        if any(callee in each.services for each in self.sidecar.tcp):
            text = f"`{callee}` is a stream, which has a local port of `{own}` and no host: {status}"
            return Step(Topic.HOST, text, path=("services", own, "calls", callee))
        known = {each.service for each in self.mesh.sidecars if not each.is_gateway}
        if status == 403 and callee in known:
            text = f"`{own}` does not list the service `{callee}` under `calls`: {status}"
        elif status == 403:
            text = f"the mesh has no service `{callee}`: {status}{suggestions.meant(callee, known)}"
        elif self.sidecar.is_gateway:
            text = f"gateway `{own}` does not answer to `{name}`: {status}"
            return Step(Topic.HOST, text, path=("gateways", own, "hostnames"))
        else:
            text = f"`{name}` is neither a service nor an external that `{own}` calls: {status}"
            return Step(Topic.HOST, text, path=("mesh", "egress"))
        return Step(Topic.HOST, text, path=(*entrance.section(self.mesh, own), "calls"))

    def _host(self, name: str, host: VirtualHost) -> Step:
        own = self.sidecar.service
        section = entrance.section(self.mesh, host.service)
        call = (*entrance.section(self.mesh, own), "calls", host.service)
        if self.listener is not self.sidecar.outbound:
            text = f"local port {self.listener.bind.port} leads to `{host.service}`, whatever the host"
            return Step(Topic.HOST, text, path=(*call, "localPort"))
        if host.service == own and self.sidecar.is_gateway:
            text = f"gateway `{own}` answers to `{name}`"
            return Step(Topic.HOST, text, path=(*section, "hostnames"))
        kind = {"services": "service", "externals": "external", "gateways": "gateway"}[section[0]]
        return Step(Topic.HOST, f"`{name}` is the {kind} `{host.service}`, which `{own}` calls", path=call)

    def _followed(self, route: Route, before: tuple[Step, ...], path: tuple[str, ...]) -> Explanation:
        """The rest of the way of a request that a route has taken; ``path`` is the route's part of the spec."""
        if route.answer is not None:
            location = dict(self.outcome.headers).get("location", "")
            text = f"the sidecar answers {self.outcome.status}{f', location {location}' if location else ''}"
            back = filters.answer_told(route)
            return self._ended(*before, Step(Topic.ANSWER, text, route.answer.at), *back)
        fault = tuple(fault_injection.told(route))
        if fault_injection.abort(route) is not None:
            return self._ended(*before, *fault)
        sent = filters.changed(route, self.request.next_hop(upgrade=True))
        method = self.request.method
        steps = (
            *before,
            *fault,
            *filters.told(route, self.request, sent),
            *splitting.told(route, path),
            *mirroring.told(route),
            *retries.told(route.retries, method, self._scope(route)),
            *timeouts.told(route, method),
        )
        drawn = [(each, False) for each in self.outcome.backends]
        copied = [(each, True) for each in self.outcome.mirrors]
        hops = tuple(self._hop(backend, sent, path, copy=copy) for backend, copy in (*drawn, *copied))
        return Explanation(
            self.sidecar,
            self.listener,
            self.request,
            self.url,
            self.outcome,
            steps,
            hops,
            tuple(filters.answer_told(route)),
            timeouts.worst_case(route, method) if hops else None,
            route,
            self._bundles,
        )

    def _scope(self, route: Route) -> tuple[str, ...]:
        """What the settings of a route are settings of, as `meshctl explain PATH` knows it."""
        own, host = entrance.section(self.mesh, self.sidecar.service), self.outcome.virtual_host
        if not host:
            return ("defaults",)
        if host == self.sidecar.service:
            callee = route.backends[0].cluster.partition(".")[0] if route.backends else ""
            return (*own, "routes", route.name) if route.at else (*own, "calls", callee)
        return (*own, "calls", host, *(("routes", route.name) if route.at else ()))

    def _hop(self, backend: Backend, sent: Request, path: tuple[str, ...], *, copy: bool) -> Hop:
        cluster = next(each for each in self.sidecar.clusters if each.name == backend.cluster)
        steps = [*load_balancing.told(cluster)]
        if cluster.endpoints or cluster.dns is not None:
            steps += outlier_detection.told(cluster)
            steps += health_checks.told(cluster)
            steps += circuit_breaking.told(cluster)
            steps += mtls.told(self.sidecar, cluster)
        led_by = (*path, "mirror" if copy else "backends")
        arrival = tuple(self._arrival(cluster, backend, sent, led_by))
        return Hop(backend, copy, tuple(steps), arrival, received(backend))

    def _arrival(
        self, cluster: Cluster, backend: Backend, sent: Request, led_by: tuple[str, ...]
    ) -> Iterator[Step]:
        """At the callee's sidecar: the gate again, authorization, the rate limit."""
        callee = cluster.identity
        listener = next((each.inbound for each in self.mesh.sidecars if each.identity == callee), None)
        if callee is None or listener is None or not (cluster.endpoints or cluster.dns):
            return
        sent = sent if cluster.protocol is Protocol.HTTP else sent.next_hop()
        if refused := inbound.gate(sent):
            yield Step(Topic.GATE, f"{refused}: 400", from_spec=False)
            return
        own = self.sidecar.service
        # A callee's route may lead on to a service that the caller does not list itself.
        led = self.outcome.virtual_host not in ("", own, callee.service)
        call = led_by if led else (*entrance.section(self.mesh, own), "calls", callee.service)
        known = splitting.known(self.sidecar, cluster)
        yield from authorization.told(callee.service, listener, known, sent, call)
        yield from rate_limiting.told(backend.limit)


def received(backend: Backend) -> tuple[Step, ...]:
    """What the application sees; nothing where a sidecar answers."""
    return tuple(_received(backend))


def _received(backend: Backend) -> Iterator[Step]:
    if backend.received is not None:
        seen = backend.received
        yield Step(Topic.APPLICATION, f"{seen.method} {seen.target}", from_spec=False)
        for name, value in seen.headers:
            yield Step(Topic.APPLICATION, f"{name.lower()}: {value}", from_spec=False)
