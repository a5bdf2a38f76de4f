"""Which parts of the spec decided what becomes of a request."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir import AuthorizationRule, InboundListener, Mesh, MtlsMode, Route, Sidecar, WorkloadIdentity
from meshctl.simulate import authorization, filters, routing
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Outcome


class Decision(Struct, frozen=True):
    """The route that took a request, and for each callee that saw it who decided there.

    A rule of None: nothing lets the caller in.
    """

    route: Route | None = None
    rules: tuple[tuple[InboundListener, AuthorizationRule | None], ...] = ()


class Places(Struct, frozen=True):
    """The sidecars of a mesh by service, one for each, for all of them route and authorize alike."""

    mesh: Mesh
    by_service: Mapping[str, Sidecar]

    @classmethod
    def of(cls, mesh: Mesh) -> Places:
        """Those of ``mesh``."""
        found: dict[str, Sidecar] = {}
        for each in mesh.sidecars:
            found.setdefault(each.service, each)
        return cls(mesh, found)

    def around(self, caller: str) -> Mesh:
        """The mesh as far as a request of ``caller`` can see it, for thousands of requests to be quick in."""
        own = self.by_service[caller]
        callees = dict.fromkeys(each.identity.service for each in own.clusters if each.identity is not None)
        near = (self.by_service[name] for name in callees if name != caller)
        return replace(self.mesh, sidecars=(own, *near))

    def decision(self, caller: str, request: Request, outcome: Outcome) -> Decision:
        """Who decided on ``request``, of which ``outcome`` came."""
        sidecar = self.by_service[caller]
        if not outcome.route:
            return Decision()
        request = request.in_origin_form()
        host = routing.virtual_host(sidecar.outbound, filters.hostname(request.values("host")[0]))
        route = routing.route(host, request) if host is not None else sidecar.outbound.egress
        if route is None or not outcome.backends:
            return Decision(route)
        sent = filters.changed(route, request.next_hop(upgrade=True))
        rules = []
        for callee in dict.fromkeys(each.callee for each in outcome.backends):
            inbound = self.by_service[callee.service].inbound if callee is not None else None
            if inbound is not None:
                known = None if inbound.mtls is MtlsMode.DISABLED else sidecar.identity
                rules.append((inbound, _decisive(inbound, known, sent)))
        return Decision(route, tuple(rules))

    def of_plaintext(self, request: Request, outcome: Outcome) -> Decision:
        """The same of somebody without a certificate, at the callee's sidecar."""
        callees = (each.callee for each in outcome.backends if each.callee is not None)
        listeners = (self.by_service[each.service].inbound for each in callees)
        asked = request.in_origin_form()
        return Decision(
            None, tuple((each, _decisive(each, None, asked)) for each in listeners if each is not None)
        )


def _decisive(
    inbound: InboundListener, caller: WorkloadIdentity | None, request: Request
) -> AuthorizationRule | None:
    """The first rule that holds, in the order in which they are asked."""
    its = inbound.authorization
    for rule in (*its.exempt, *its.deny, *its.rules):
        alone = replace(inbound, authorization=replace(its, rules=(rule,), deny=(), exempt=()))
        if not authorization.refuses(alone, caller, request):
            return rule
    return None
