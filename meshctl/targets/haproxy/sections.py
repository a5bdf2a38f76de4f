"""The sections behind a route as HAProxy sees them: see ``backends`` for how one leads to the next."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.targets.haproxy.quoting import Token


@dataclass(frozen=True, slots=True)
class Delay:
    """A pause for the requests that ``draw`` picks (all when None), and the status of those to fail after it."""

    milliseconds: int
    draw: Token | None
    abort: int | None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` at once in these backends together."""

    backends: tuple[Token, ...]
    requests: int


@dataclass(frozen=True, slots=True)
class Entry:
    """How a section is reached that another one leads to; ``client_timeout`` bounds an upload's silence."""

    bind: Token
    client_timeout: Token


@dataclass(frozen=True, slots=True)
class Hop:
    """A section that keeps a time and leads to the next one. With ``deadline`` it waits for the body first."""

    heading: Token
    entry: Entry | None
    deadline: bool
    timeout: Token
    leads_to: Token


@dataclass(frozen=True, slots=True)
class Outcome:
    """A condition under which a try may be made again, and the status if it is not."""

    condition: Token
    status: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Before the try of this number, at most so many milliseconds."""

    number: int
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Retries of ``key`` under way, at most this share of all its requests."""

    key: Token
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The sections before the endpoints where tries are counted: what is in common and each one's own."""

    attempts: tuple[Attempt, ...]
    any_method: bool
    idempotent: tuple[Token, ...]
    outcomes: tuple[Outcome, ...]
    statuses: tuple[int, ...]
    pauses: tuple[Pause, ...]
    budget: Budget | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One endpoint."""

    name: Token
    bind: Token
    servers: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Tries:
    """The section that balances and tries again. ``causes`` empty: nothing but ``attempts`` 0."""

    heading: Token
    entry: Entry | None
    attempts: int
    causes: Token
    connect_timeout: Token
    response_timeout: Token
    algorithm: Token
    servers: tuple[Token, ...]
    holds_body: bool
    retries_timeouts: bool
    counted: Counted | None


@dataclass(frozen=True, slots=True)
class Backend:
    """One cluster under one policy: sections that lead from one to the next, the first named ``name``."""

    name: Token
    in_mesh: bool
    has_ipv6: bool
    reuse: Token
    delay: Delay | None
    limit: Limit
    hops: tuple[Hop, ...]
    tries: Tries
    preparations: tuple[Token, ...]
    transport: Token
    idle_timeout: Token
    pool_timeout: Token
    marks_answers: bool
    multiplexed: bool
    whole_body: Token
    """What is waited for before a request goes on that may be sent again."""
