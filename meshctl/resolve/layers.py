"""Inheritance: a setting may stand in `defaults`, at the callee, at the call and at the route."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from meshctl.diagnostics import Position
from meshctl.spec import Source, Spec
from meshctl.spec.types import Model

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layer:
    """One place that can say something of a traffic policy, and where that place is."""

    written: Model
    source: Source


Layers = tuple[Layer, ...]
"""From the most general to the most particular; the last one that says something wins."""


def service_layers(spec: Spec, service: str) -> Layers:
    """`defaults` and the service itself."""
    written = spec.written
    layers = []
    if written.defaults is not None:
        layers.append(Layer(written.defaults, spec.source["defaults"]))
    services = written.services or {}
    layers.append(Layer(services[service], spec.source["services"][service]))
    return tuple(layers)


def call_layer(spec: Spec, caller: str, callee: str) -> Layers:
    """What the caller narrows, or nothing."""
    call = ((spec.written.services or {})[caller].calls or {}).get(callee)
    if call is None or not call.model_fields_set:
        return ()
    return (Layer(call, spec.source["services"][caller]["calls"][callee]),)


def says(layers: Layers, *fields: str) -> bool:
    """Whether any layer says anything of these fields."""
    return any(getattr(layer.written, field, None) is not None for layer in layers for field in fields)


def first(layers: Layers, field: str, default: T) -> T:
    """What the most particular layer says of ``field``."""
    for layer in reversed(layers):
        value: T | None = getattr(layer.written, field, None)
        if value is not None:
            return value
    return default


def said(layers: Layers, field: str, key: str) -> Iterator[tuple[Any, Position | None]]:
    """What each layer says of ``field`` (in YAML ``key``), the most particular first."""
    for layer in reversed(layers):
        value = getattr(layer.written, field, None)
        if value is not None:
            yield value, layer.source.at(key)
