"""The sections behind a route as HAProxy sees them: see ``backends`` for how one leads to the next."""

from __future__ import annotations

from msgspec import Struct

from meshctl.targets.haproxy.quoting import Token


class Delay(Struct, frozen=True):
    """A pause for the requests that ``draw`` picks (all when None), and the status of those to fail after it."""

    milliseconds: int
    draw: Token | None
    abort: int | None


class Limit(Struct, frozen=True):
    """At most ``requests`` at once in these backends together."""

    backends: tuple[Token, ...]
    requests: int


class Entry(Struct, frozen=True):
    """How a section is reached that another one leads to; ``client_timeout`` bounds an upload's silence.

    Without ``bind`` it stands behind the queue of its cluster.
    """

    bind: Token | None
    client_timeout: Token


class Copy(Struct, frozen=True):
    """A copy of a request goes to ``backend``, if ``draw`` says so; its answer may be silent for so long."""

    backend: Token
    socket: Token
    seconds: int
    draw: Token | None


class Hop(Struct, frozen=True):
    """A section that keeps a time and leads to the next one. With ``deadline`` it waits for the body first.

    ``beyond``: the section after the queue that this one leads to.
    """

    heading: Token
    entry: Entry | None
    deadline: bool
    timeout: Token
    leads_to: Token
    beyond: Token | None
    copies: tuple[Copy, ...]
    late: Token | None
    """What Lua is told of the endpoint whose try is cut off here."""


class Outcome(Struct, frozen=True):
    """A condition under which a try may be made again, and the status if it is not."""

    condition: Token
    status: int


class Pause(Struct, frozen=True):
    """Before the try of this number, at most so many milliseconds."""

    number: int
    milliseconds: int


class Budget(Struct, frozen=True):
    """Retries under way, at most this share of all requests."""

    numerator: int
    denominator: int


class Bound(Struct, frozen=True):
    """How many retries of ``key`` may be under way, one or both."""

    key: Token
    key_word: Token
    """The same as a sample, and as an argument."""
    budget: Budget | None
    most: Token | None
    retries: int
    """Of one request."""


class Counted(Struct, frozen=True):
    """The sections before the endpoints where tries are counted: what is in common and each one's own."""

    attempts: tuple[Attempt, ...]
    any_method: bool
    idempotent: tuple[Token, ...]
    outcomes: tuple[Outcome, ...]
    statuses: tuple[int, ...]
    named: bool
    named_before: bool
    """Whether the tries of a request bear a name by which they are counted, and whether an earlier section gave it."""
    pauses: tuple[Pause, ...]
    bound: Bound | None
    observed: Token | None
    """What Lua is told of an answer's endpoint where failures eject it."""


class Attempt(Struct, frozen=True):
    """One endpoint."""

    number: int
    name: Token
    bind: Token
    servers: tuple[Token, ...]


class Level(Struct, frozen=True):
    """A section with the endpoints that come after those of another one."""

    name: Token
    bind: Token
    servers: tuple[Token, ...]


class Tries(Struct, frozen=True):
    """The section that balances and tries again. ``causes`` empty: nothing but ``attempts`` 0."""

    heading: Token
    entry: Entry | None
    attempts: int
    causes: Token
    connect_timeout: Token
    response_timeout: Token
    algorithm: Token
    servers: tuple[Token, ...]
    levels: tuple[Level, ...]
    fails_over: bool
    copies: tuple[Copy, ...]
    holds_body: bool
    retries_timeouts: bool
    counted: Counted | None


class Check(Struct, frozen=True):
    """How endpoints are asked how they are: lines of a section, and words of its servers."""

    lines: tuple[Token, ...]
    words: Token
    timeout: Token


class Checks(Struct, frozen=True):
    """The section whose servers are asked, for all sections that lead to the same endpoints."""

    name: Token
    check: Check
    connect_timeout: Token
    transport: Token
    servers: tuple[Token, ...]


class Queue(Struct, frozen=True):
    """Where requests to one cluster wait, in two sections: ``slots`` of them are let through at once."""

    name: Token
    bind: Token
    opened: Token
    opened_bind: Token
    slots: int
    idle_timeout: Token
    pool_timeout: Token


class Backend(Struct, frozen=True):
    """One cluster under one policy: sections that lead from one to the next, the first named ``name``."""

    name: Token
    in_mesh: bool
    has_ipv6: bool
    reuse: Token
    delay: Delay | None
    limit: Limit
    key: Token | None
    """What is hashed to find an endpoint."""
    follows_source: bool
    answer_within: Token | None
    """How long the whole answer to a copy may take."""
    is_watched: bool
    """Whether servers change their state, which the section would tell about among the lines of requests."""
    check: Check | None
    """Only where the servers are not known beforehand; others have a section for it."""
    hops: tuple[Hop, ...]
    tries: Tries
    preparations: tuple[Token, ...]
    transport: Token
    idle_timeout: Token
    pool_timeout: Token
    marks_answers: bool
    multiplexed: bool
    renews: bool
    """Whether each request opens a connection of its own."""
    whole_body: Token
    """What is waited for before a request goes on that may be sent again."""

    @property
    def holds_body(self) -> bool:
        """Whether any of the sections waits for the body."""
        return self.tries.holds_body or any(hop.deadline for hop in self.hops)
