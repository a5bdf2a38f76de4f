"""What the health listener answers, to anybody."""

from __future__ import annotations

from fractions import Fraction

from meshctl.diagnostics import UsageError
from meshctl.ir import Sidecar
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend, Outcome


def probe(sidecar: Sidecar, request: Request) -> Outcome:
    """The application's answer, the sidecar's own, or 404. Raises UsageError where nothing listens."""
    listener = sidecar.health
    if listener is None:
        raise UsageError(f"`{sidecar.service}` has no health listener")
    asks = listener.path and request.path == listener.path and request.method in ("GET", "HEAD")
    if asks and listener.application is not None:
        received = request.next_hop().without_claims()
        backend = Backend(sidecar.service, Fraction(1), sidecar.identity, None, received=received)
        return Outcome(backends=(backend,))
    if request.method == "GET" and request.path == "/ready":
        return Outcome(200, "the sidecar serves")
    return Outcome(404, "the health listener has only the health path and /ready")
