"""Timeouts: the most particular layer wins; the defaults are those of the language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.resolve.layers import Layers, first, said

DEFAULT_TIMEOUT = timedelta(seconds=15)
DEFAULT_BODY_TIMEOUT = timedelta(0)
DEFAULT_CONNECT_TIMEOUT = timedelta(seconds=1)
DEFAULT_IDLE_TIMEOUT = timedelta(minutes=5)
NO_LIMIT = timedelta(0)


def timeout(layers: Layers) -> ir.Timeout:
    """How long a request may take, tries included; no limit where it streams."""
    if streaming(layers):
        return ir.Timeout(NO_LIMIT)
    for value, at in said(layers, "timeout", "timeout"):
        return ir.Timeout(value, at)
    return ir.Timeout(DEFAULT_TIMEOUT)


def body_timeout(layers: Layers) -> ir.BodyTimeout:
    """How long an upload may stand still; no limit where it streams."""
    if streaming(layers):
        return ir.BodyTimeout(NO_LIMIT)
    for value, at in said(layers, "body_timeout", "bodyTimeout"):
        return ir.BodyTimeout(value, at)
    return ir.BodyTimeout(DEFAULT_BODY_TIMEOUT)


def streaming(layers: Layers) -> bool:
    """Whether nothing but the idle timeout bounds requests."""
    return first(layers, "streaming", default=False)


def asked_streaming(layers: Layers) -> tuple[ir.FeatureUse, ...]:
    """Streaming, where it was written and holds."""
    for value, at in said(layers, "streaming", "streaming"):
        return (ir.FeatureUse(ir.Feature.STREAMING, at),) if value and at is not None else ()
    return ()


def connect_timeout(layers: Layers) -> timedelta:
    """How long one connection may take to stand."""
    return first(layers, "connect_timeout", DEFAULT_CONNECT_TIMEOUT)


def idle_timeout(layers: Layers) -> timedelta:
    """How long a connection may be silent."""
    return first(layers, "idle_timeout", DEFAULT_IDLE_TIMEOUT)


def asked(layers: Layers) -> Iterator[ir.FeatureUse]:
    """The two timeouts that a cluster keeps, where they were written."""
    for field, key, feature in (
        ("connect_timeout", "connectTimeout", ir.Feature.CONNECT_TIMEOUT),
        ("idle_timeout", "idleTimeout", ir.Feature.IDLE_TIMEOUT),
    ):
        for _, at in said(layers, field, key):
            if at is not None:
                yield ir.FeatureUse(feature, at)
            break
