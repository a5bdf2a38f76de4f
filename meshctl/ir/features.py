"""The features that a target may or may not have, and the walk that finds those a sidecar uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any

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


Needs = Callable[[Any], tuple[Feature, ...]]


def needs(*features: Feature, **kwargs: Any) -> Any:  # noqa: ANN401 - dataclasses.field is typed so
    """A dataclass field that needs ``features`` whenever the user wrote the object it stands in."""
    return field(metadata={"needs": lambda value: features if value else ()}, **kwargs)


def needs_by(choose: Needs, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
    """A dataclass field whose value decides which features it needs."""
    return field(metadata={"needs": choose}, **kwargs)


def features_of(root: object) -> Iterator[FeatureUse]:
    """Every feature that ``root`` uses because the user wrote it, with the place of the writing.

    An object without a place is a default of ours and asks for nothing: defaults only use what
    every target can do. Objects shared between sidecars are the caller's to remember.
    """
    if not is_dataclass(root):
        if isinstance(root, (tuple, frozenset)):
            for item in root:
                yield from features_of(item)
        return
    at = getattr(root, "at", None)
    for each in fields(root):
        value = getattr(root, each.name)
        if value is None or isinstance(value, (str, int, Enum)):
            if at is not None and "needs" in each.metadata:
                yield from (FeatureUse(feature, at) for feature in each.metadata["needs"](value))
            continue
        if at is not None and "needs" in each.metadata:
            yield from (FeatureUse(feature, at) for feature in each.metadata["needs"](value))
        if each.name != "at":
            yield from features_of(value)
