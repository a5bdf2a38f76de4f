"""The steps of a request's way, in words, each with what decided it.

Every feature tells its own steps in its own file; ``explain`` puts them in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir import Feature, FeatureUse


class Topic(StrEnum):
    """What a step is about."""

    GATE = "gate"
    HOST = "host"
    ROUTE = "route"
    FAULT = "fault"
    ANSWER = "answer"
    FILTER = "filter"
    BACKENDS = "backends"
    MIRROR = "mirror"
    TRIES = "tries"
    TIME = "time"
    RESPONSE = "response"
    ENDPOINT = "endpoint"
    HEALTH = "health"
    CIRCUIT_BREAKER = "bounds"
    TLS = "tls"
    AUTHORIZATION = "access"
    RATE_LIMIT = "rate limit"
    APPLICATION = "sees"
    REQUESTS = "requests"
    BUDGET = "budget"
    END = "end"
    HEADERS = "headers"


class Step(Struct, frozen=True):
    """One thing that happens, or one that does not and why."""

    topic: Topic
    text: str
    at: Position | None = None
    path: tuple[str, ...] = ()
    """The part of the spec that decided, by keys and names, where the model does not know its place."""
    setting: tuple[str, ...] = ()
    """The same of a setting that may be inherited: as `meshctl explain PATH` knows it."""
    from_spec: bool = True
    """Whether the spec, or its default where there is no place, decided; else the wire contract does."""
    passed_over: bool = False
    """A route or a rule that was asked and did not match."""


def percent(share: Fraction) -> str:
    """A share as people write it."""
    return f"{float(share * 100):.4g}%"


def place_of(asks: Iterable[FeatureUse], *features: Feature) -> Position | None:
    """Where the first of these features was written."""
    return next((each.at for each in asks if each.feature in features), None)


def count(number: int, noun: str) -> str:
    """``1 try`` is said with its own noun; all others get an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
