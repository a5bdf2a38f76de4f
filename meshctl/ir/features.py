"""The features that a target may or may not have, and the walk that finds those a sidecar uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_type_hints

from meshctl.diagnostics import Position


class Feature(StrEnum):
    """One row of the capability table each. The value is the name that users see."""

    STATIC_DISCOVERY = "static endpoints"
    ENDPOINT_WEIGHTS = "endpoint weights"
    HOST_ROUTING = "routing by host"
    PATH_EXACT = "exact path match"
    PATH_PREFIX = "path prefix match"
    METHOD_MATCH = "method match"
    HEADER_MATCH = "exact header match"
    PATH_GATE = "path gate"
    WEIGHTED_SPLITTING = "weighted splitting"
    TIMEOUT = "timeout"
    CONNECT_TIMEOUT = "connect timeout"
    IDLE_TIMEOUT = "idle timeout"
    RETRY_CONNECT_FAILURE = "retry on connect-failure"
    RETRY_REFUSED_STREAM = "retry on refused-stream"
    RETRY_GATEWAY_ERROR = "retry on gateway-error"
    ROUND_ROBIN = "round-robin balancing"
    MAX_CONNECTIONS = "max connections"
    MAX_REQUESTS = "max requests"
    MTLS_STRICT = "strict mTLS"
    AUTHORIZATION_DECLARED = "authorization by declared calls"
    IDENTITY_HEADER = "identity header"
    DEAD_APPLICATION = "dead application behind a live sidecar"
    ACCESS_LOG = "JSON access log"
    ADMIN = "readiness and build id"


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """A feature that the user asked for, and where."""

    feature: Feature
    at: Position


@dataclass(frozen=True, slots=True)
class Needs:
    """Annotates a field of the model: what its value needs, whenever the user wrote the object."""

    choose: Callable[[Any], tuple[Feature, ...]]


def needs(*features: Feature) -> Needs:
    """The field needs ``features`` when it holds anything."""
    return Needs(lambda value: features if value else ())


def features_of(root: object) -> list[FeatureUse]:
    """Every feature that ``root`` uses because the user wrote it, with the place of the writing.

    An object without a place is a default of ours and asks for nothing: defaults only use what
    every target can do. Objects shared between sidecars are the caller's to remember.
    """
    found: list[FeatureUse] = []
    _collect(root, found)
    return found


def _collect(value: Any, found: list[FeatureUse]) -> None:  # noqa: ANN401 - any part of the model
    if isinstance(value, tuple):
        for item in value:
            _collect(item, found)
    elif isinstance(value, FeatureUse):
        found.append(value)
    elif value is not None:
        at = getattr(value, "at", None)
        kind: type = type(value)
        for name, needed, leads_on in _fields(kind):
            inner = getattr(value, name)
            if at is not None and needed is not None:
                found.extend(FeatureUse(feature, at) for feature in needed.choose(inner))
            if leads_on:
                _collect(inner, found)


@cache
def _fields(kind: type) -> tuple[tuple[str, Needs | None, bool], ...]:
    """The fields of a class that can lead to a feature: what they need, and whether to go on below."""
    if not is_dataclass(kind):
        return ()
    hints = get_type_hints(kind, include_extras=True)
    rows = (
        (
            each.name,
            next((extra for extra in get_args(hints[each.name]) if isinstance(extra, Needs)), None),
            _leads_on(hints[each.name]),
        )
        for each in fields(kind)
        if each.name != "at"
    )
    return tuple(row for row in rows if row[1] is not None or row[2])


@cache
def _leads_on(hint: object) -> bool:
    """Whether a value of this type can hold an object that has a place."""
    if hint is FeatureUse:
        return True
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return "at" in hints or any(_leads_on(each) for each in hints.values())
    return any(_leads_on(each) for each in get_args(hint) if not isinstance(each, Needs))
