"""One request through its caller's sidecar and the callee's, as docs/wire-contract.md says.

Assumes that every sidecar is up; what failing endpoints do is told by the policy in the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meshctl.diagnostics import UsageError
from meshctl.ir import Mesh, Route, Sidecar
from meshctl.simulate import authorization, paths, retries, routing, splitting, timeouts
from meshctl.simulate.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Request:
    """What an application sends. Header lines in order, ``Host`` among them."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """The lines of a header, its name in lower case."""
        return [value for each, value in self.headers if each.lower() == name]


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
    end = min((index for index in map(rest.find, "/?#") if index >= 0), default=len(rest))
    host, target = rest[:end], rest[end:]
    if not host:
        raise UsageError(f"`{url}` names no host")
    if not target.startswith("/"):
        target = f"/{target}"
    return answer(mesh, caller, Request(method, target, (("Host", host), *headers)))


def answer(mesh: Mesh, caller: str, request: Request) -> Outcome:
    """What becomes of a request to the caller's own sidecar. Raises UsageError for an unknown caller."""
    sidecar = _sidecar(mesh, caller)
    refused = _gate(request)
    if refused:
        return refused
    host = routing.virtual_host(sidecar.outbound, request.values("host")[0])
    if isinstance(host, int):
        name = routing.hostname(request.values("host")[0])
        return Outcome(host, f"`{caller}` does not call `{name}`" if host == 403 else f"no host `{name}`")
    path = request.target.partition("?")[0]
    route = routing.route(host, request.method, path, request.headers)
    if route is None:
        return Outcome(404, f"no route of `{host.service}` matches", virtual_host=host.service)
    return _outcome(mesh, sidecar, host.service, route, request.method)


def receive(mesh: Mesh, caller: str, callee: str, request: Request) -> Outcome:
    """What the callee's sidecar makes of a request straight from the caller's certificate."""
    inbound = _sidecar(mesh, callee).inbound
    if inbound is None:
        raise UsageError(f"nothing listens for `{callee}`")
    refused = _gate(request)
    if refused:
        return refused
    if not authorization.permits(inbound, _sidecar(mesh, caller).identity):
        return Outcome(403, f"`{callee}` does not let `{caller}` in")
    return Outcome()


def _outcome(mesh: Mesh, caller: Sidecar, host: str, route: Route, method: str) -> Outcome:
    backends = splitting.backends(mesh, caller, route)
    statuses = {each.status for each in backends} if backends else {503}
    status = statuses.pop() if len(statuses) == 1 else None
    reasons = (each.reason for each in backends) if backends else [f"route `{route.name}` has no backend"]
    return Outcome(
        status=status,
        reason="; ".join(dict.fromkeys(reasons)) if status else "",
        virtual_host=host,
        route=route.name,
        backends=backends,
        timeout=timeouts.limit(route.timeout),
        attempts=retries.attempts(route.retries, method),
        retry_on=retries.conditions(route.retries, method),
    )


def _gate(request: Request) -> Outcome | None:
    """Both ends refuse what proxies would read in different ways."""
    why = paths.refusal(request.target)
    if why:
        return Outcome(400, f"the path is not canonical: {why}")
    if len(request.values("host")) != 1:
        return Outcome(400, "there is not exactly one Host line")
    if request.values("content-length") and request.values("transfer-encoding"):
        return Outcome(400, "both Content-Length and Transfer-Encoding")
    return None


def _sidecar(mesh: Mesh, service: str) -> Sidecar:
    # All sidecars of a service route and authorize alike; only their addresses differ.
    for each in mesh.sidecars:
        if each.service == service:
            return each
    raise UsageError(f"there is no service `{service}` in the mesh")
