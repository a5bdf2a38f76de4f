"""What becomes of a request."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from msgspec import Struct, field

from meshctl.ir import Abort, HeaderChanges, RateLimit, RetryCondition, WorkloadIdentity
from meshctl.simulate.message import Request


class Pause(Struct, frozen=True):
    """How long a ``share`` of the requests waits."""

    duration: timedelta
    share: Fraction


class Backend(Struct, frozen=True):
    """One cluster that may be drawn. ``status`` is a proxy's answer then; None: its application answers."""

    cluster: str
    share: Fraction
    callee: WorkloadIdentity | None
    """None for what is outside the mesh."""
    status: int | None
    reason: str = ""
    received: Request | None = None
    """What the application sees; None where it sees nothing."""
    audited: bool = False
    """The callee would refuse it, but only writes so to its access log."""
    limit: RateLimit | None = None
    """Its sidecar answers 429 instead, when this is used up. None: never."""


class Outcome(Struct, frozen=True):
    """How far a request comes, and under which policy; fields behind the last step are empty.

    ``status`` is set when a proxy gives the same answer whatever is drawn, and ``reason`` says why.
    """

    status: int | None = None
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Of an answer that a route gives: Location and what the route adds."""
    body: str = ""
    closed: bool = False
    """A connection that ends without an answer; ``reason`` says why."""
    virtual_host: str = ""
    """The service, external or gateway whose routes these are; empty for hosts outside of all of them."""
    route: str = ""
    backends: tuple[Backend, ...] = ()
    response_headers: HeaderChanges = field(default_factory=HeaderChanges)
    """What the route changes on an application's answer."""
    timeout: timedelta | None = None
    """Over all tries; None: no limit."""
    per_try_timeout: timedelta | None = None
    body_timeout: timedelta | None = None
    streaming: bool = False
    attempts: int = 0
    """Tries after the first that this request's method may get."""
    delay: Pause | None = None
    """Before anything is sent, and outside of ``timeout``."""
    abort: Abort | None = None
    """What a share of the requests gets instead, nothing being sent on; here only where it is not all of them."""
    mirrors: tuple[Backend, ...] = ()
    """Copies: ``share`` is that of the requests which are copied there."""
    retry_on: tuple[RetryCondition, ...] = ()
    retry_statuses: tuple[int, ...] = ()
    """Answers that are tried again besides those that ``retry_on`` names."""
    retry_grpc_statuses: tuple[str, ...] = ()
    """The same of what a gRPC answer says."""
