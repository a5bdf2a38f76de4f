"""Inheritance: a setting may stand in `defaults`, at the callee, at the call and at the route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.spec import Source, Spec
from meshctl.spec.policy import DefaultsSpec
from meshctl.spec.types import Model

T = TypeVar("T")


class Layer(Struct, frozen=True):
    """One place that can say something of a traffic policy, and where that place is."""

    written: Model
    source: Source


Layers = tuple[Layer, ...]
"""From the most general to the most particular; the last one that says something wins."""


def default_layers(spec: Spec) -> Layers:
    """`defaults` alone."""
    written = spec.written.defaults
    return (Layer(written, spec.source["defaults"]),) if written is not None else ()


def callee_layers(spec: Spec, name: str) -> Layers:
    """`defaults` and the service or external itself."""
    services = spec.written.services or {}
    section = "services" if name in services else "externals"
    own = services.get(name) or (spec.written.externals or {})[name]
    return (*default_layers(spec), Layer(own, spec.source[section][name]))


def call_layer(spec: Spec, caller: str, callee: str) -> Layers:
    """What the caller, a service or gateway, narrows, or nothing."""
    services = spec.written.services or {}
    section = "services" if caller in services else "gateways"
    owner = services.get(caller) or (spec.written.gateways or {})[caller]
    call = (owner.calls or {}).get(callee)
    if call is None or not call.model_fields_set:
        return ()
    return (Layer(call, spec.source[section][caller]["calls"][callee]),)


def particular(layers: Layers) -> Layers:
    """Those that speak of this callee alone: `defaults` hold wherever they can."""
    return tuple(each for each in layers if not isinstance(each.written, DefaultsSpec))


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


def merged(layers: Layers, field: str, key: str) -> tuple[dict[str, Any] | None, Position | None]:
    """The fields of a map that all layers may write, merged, and the most particular place; None: nobody wrote it."""
    written: dict[str, Any] = {}
    place: Position | None = None
    found = False
    for value, at in said(layers, field, key):
        found = True
        place = place or at
        for name in value.model_fields_set:
            inner = getattr(value, name)
            if inner is not None:
                written.setdefault(name, inner)
    return (written, place) if found else (None, None)
