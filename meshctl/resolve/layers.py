"""Inheritance: a setting may stand in `defaults`, at the callee, at the call and at the route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.spec import Source, Spec
from meshctl.spec.policy import DefaultsSpec
from meshctl.spec.types import Model

T = TypeVar("T")


class Layer(Struct, frozen=True, eq=False):
    """One place that can say something of a traffic policy, what it says by field, and where that place is."""

    says: Mapping[str, Any]
    source: Source
    is_default: bool = False
    """Whether it is `defaults`, which hold wherever they can."""


Layers = tuple[Layer, ...]
"""From the most general to the most particular; the last one that says something wins."""

_POLICY = frozenset(DefaultsSpec.model_fields)


def layer(written: Model, source: Source, *, is_default: bool = False) -> Layer:
    """What ``written``, which stands at ``source``, says."""
    return Layer(_said(written), source, is_default)


def _said(written: Model) -> dict[str, Any]:
    return {field: value for field, value in vars(written).items() if value is not None and field in _POLICY}


class _Known(Struct, frozen=True):
    """The layers of a spec that were asked for; who says nothing has none of his own."""

    callees: dict[str, Layers]
    calls: dict[tuple[str, str], Layers]


@lru_cache(maxsize=2)
def _known(spec: Spec) -> _Known:
    """Of each spec once: all passes ask for the same ones. Two specs may be compared."""
    return _Known({}, {})


def default_layers(spec: Spec) -> Layers:
    """`defaults` alone."""
    known = _known(spec).callees
    if "" not in known:
        written = spec.written.defaults
        source = spec.source["defaults"]
        known[""] = (layer(written, source, is_default=True),) if written is not None else ()
    return known[""]


def callee_layers(spec: Spec, name: str) -> Layers:
    """`defaults` and the service or external itself."""
    known = _known(spec).callees
    layers = known.get(name)
    if layers is None:
        services = spec.written.services or {}
        section = "services" if name in services else "externals"
        own = services.get(name) or (spec.written.externals or {})[name]
        says = _said(own)
        layers = default_layers(spec)
        if says:
            layers = (*layers, Layer(says, spec.source[section][name]))
        known[name] = layers
    return layers


def call_layer(spec: Spec, caller: str, callee: str) -> Layers:
    """What the caller, a service or gateway, narrows, or nothing."""
    known = _known(spec).calls
    layers = known.get((caller, callee))
    if layers is None:
        services = spec.written.services or {}
        section = "services" if caller in services else "gateways"
        owner = services.get(caller) or (spec.written.gateways or {})[caller]
        call = (owner.calls or {}).get(callee)
        says = _said(call) if call is not None and call.model_fields_set else None
        layers = (Layer(says, spec.source[section][caller]["calls"][callee]),) if says else ()
        known[caller, callee] = layers
    return layers


def particular(layers: Layers) -> Layers:
    """Those that speak of this callee alone: `defaults` hold wherever they can."""
    return tuple(each for each in layers if not each.is_default)


def says(layers: Layers, *fields: str) -> bool:
    """Whether any layer says anything of these fields."""
    return any(field in layer.says for layer in layers for field in fields)


def first(layers: Layers, field: str, default: T) -> T:
    """What the most particular layer says of ``field``."""
    for layer in reversed(layers):
        if field in layer.says:
            found: T = layer.says[field]
            return found
    return default


def said(layers: Layers, field: str, key: str) -> Iterator[tuple[Any, Position | None]]:
    """What each layer says of ``field`` (in YAML ``key``), the most particular first."""
    for layer in reversed(layers):
        if field in layer.says:
            yield layer.says[field], layer.source.at(key)


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
