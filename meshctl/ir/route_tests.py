"""A request, and what is to become of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

from msgspec import Struct, field

from meshctl.diagnostics import Position


class Expectation(Struct, frozen=True):
    """What is None is not looked at; ``at`` says where the others are written, by the key in the file."""

    status: int | None = None
    """An application is taken to answer 200."""
    route: str | None = None
    callee: str | None = None
    backends: Mapping[str, Fraction] | None = None
    """Shares by the names of clusters; one of the asked service's own by its subset alone, too."""
    mirrors: Mapping[str, Fraction] | None = None
    timeout: timedelta | None = None
    """Over all tries; zero: there is none."""
    tries: int | None = None
    """At most, the first among them; zero: nothing is sent on."""
    path: str | None = None
    """As the application sees it, and so are ``host`` and ``headers``. With a ``?`` in it, path and query."""
    host: str | None = None
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    location: str | None = None
    """Of the redirect that a route answers with."""
    at: Mapping[str, Position | None] = field(default_factory=dict)


class RouteTest(Struct, frozen=True):
    """One test. ``headers`` are the lines that are sent, in order, ``Host`` first.

    A ``caller`` who is UNAUTHENTICATED asks the sidecar of the service that Host names, in plaintext.
    """

    name: str
    caller: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    expectation: Expectation
    body: str = ""
    at: Position | None = None
