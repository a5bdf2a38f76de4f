"""No field of the language is dropped in silence: without it the sidecars, or what they ask of a proxy, differ.

Every leaf of ``every_field.yaml`` is taken away, or changed where it must be there, and the mesh resolved again.
A field that makes no difference stands in IDLE, with what it is for; a new field that is in neither turns this red.
"""

from __future__ import annotations

import copy
import types
import typing
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.pipeline import resolved_json
from meshctl.resolve import resolve
from meshctl.spec import MeshSpec, Positions, Source, Spec
from tests.behaviour.world import KEY_SETS

FILES = {
    "keys/idp.json": (KEY_SETS / "idp.json").read_bytes(),
    "other": (KEY_SETS / "plain.json").read_bytes(),
}
"""What the spec names."""
FULL = YAML(typ="base").load((Path(__file__).parent / "every_field.yaml").read_text("utf-8"))

LINT = "lint asks about it"
WATCHED = "rules and alerts, and no sidecar (resolve/slo.py)"
WAIVERS = "resolve/waivers.py and lint"
ONLY = "there is one value only"
ASKED = "no target lowers it yet, and the whole of it is asked for at one place"
IDLE = {
    "AccessLogSpec.format": ONLY,
    "MetricsSpec.format": ONLY,
    "CertificatesSpec.key_type": ONLY,
    "HashOnSpec.source_address": ONLY,
    "HeaderMatchSpec.present": ONLY,
    "QueryMatchSpec.present": ONLY,
    "MeshSpec.api_version": ONLY,
    "MeshSpec.lint": LINT,
    "LintSpec.profile": LINT,
    "LintSpec.rules": LINT,
    "MeshSection.requires": "load/requirement.py",
    "CallSpec.load": LINT,
    **{f"LoadSpec.{field}": LINT for field in ("requests", "per", "latency")},
    "ServiceSpec.slo": WATCHED,
    **{f"SloSpec.{field}": WATCHED for field in ("availability", "latency", "window")},
    "ServiceSpec.owner": LINT,
    "ServiceSpec.labels": LINT,
    "ExternalSpec.owner": LINT,
    "ExternalSpec.labels": LINT,
    "GatewaySpec.owner": LINT,
    "GatewaySpec.labels": LINT,
    **{f"{model}.waive": WAIVERS for model in ("MeshSection", "ServiceSpec", "ExternalSpec", "GatewaySpec", "RouteSpec")},
    **{f"WaiverSpec.{field}": WAIVERS for field in ("finding", "reason", "owner", "until", "caller")},
    "ModeSpec.until": "validate and lint ask the clock",
    **{f"{model}.{field}": ASKED for model, fields in {
        "PathPolicySpec": ("encoded_slashes", "empty_segments"),
    }.items() for field in fields},
}  # fmt: skip
"""What becomes of a field that makes no difference to the resolved mesh."""

OTHERS = ["other", "7", "7s", "7%", "/other", "10.77.0.1", "/etc/other", "127.0.0.77:53", "500", "GET", "x.example", "_x._tcp.example", "1.2", "2027-02-02", "allow", "reset", "declared", "v2", "web", "21ms", "least-request", "endpoint", "tcp", "true"]  # fmt: skip
"""Values to try where a field cannot be left out."""


def bare(annotation):
    """The annotation without `Annotated` and `None`."""
    while typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType):
        arguments = [each for each in typing.get_args(annotation) if each is not type(None)]
        annotation = arguments[0]
    return annotation


def fields_of(model):
    """Every field below a model, as `Model.field`, with those of the models in it."""
    found, waiting = set(), [model]
    seen = set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        for name, field in each.model_fields.items():
            owner = next(
                base for base in reversed(each.__mro__) if name in getattr(base, "__annotations__", {})
            )
            found.add(f"{owner.__name__}.{name}")
            inner = field.annotation
            while not (isinstance(bare(inner), type)) or typing.get_args(bare(inner)):
                arguments = typing.get_args(bare(inner))
                if not arguments:
                    break
                inner = arguments[-1]
            if isinstance(bare(inner), type) and issubclass(bare(inner), BaseModel):
                waiting.append(bare(inner))
    return found


def written(node, annotation, path=()):
    """Every field in ``node`` with its path, mappings and lists walked through."""
    kind = bare(annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not isinstance(node, dict):
            return
        for name, field in kind.model_fields.items():
            key = field.alias or name
            if key in node:
                owner = next(
                    base for base in reversed(kind.__mro__) if name in getattr(base, "__annotations__", {})
                )
                yield f"{owner.__name__}.{name}", (*path, key)
                yield from written(node[key], field.annotation, (*path, key))
        return
    arguments = typing.get_args(kind)
    if isinstance(node, dict) and arguments:
        for key, each in node.items():
            yield from written(each, arguments[-1], (*path, key))
    elif isinstance(node, list) and arguments:
        for index, each in enumerate(node):
            yield from written(each, arguments[0], (*path, index))


@cache
def paths():
    found: dict[typing.Any, list[typing.Any]] = {}
    for field, path in written(FULL, MeshSpec):
        found.setdefault(field, []).append(path)
    return found


def outcome(data):
    """The mesh in all that its emitters see, and what it asks for; None where it has an error."""
    try:
        spec = MeshSpec.model_validate(data)
    except ValidationError:
        return None
    mesh = resolve(Spec(spec, source(data), FILES), builds=False).mesh
    if mesh is None:
        return None
    uses = [sorted(each.feature for each in ir.features_of(sidecar)) for sidecar in mesh.sidecars]
    return resolved_json(mesh), uses


def source(data):
    """A cursor that knows a place for everything, though not the right one."""
    positions = Positions()
    positions.begin("mesh.yaml", "x" * 10)

    def place(node):
        if isinstance(node, dict):
            positions.remember(node, [0] * (1 + 2 * len(node)))
            for each in node.values():
                place(each)
        elif isinstance(node, list):
            positions.remember(node, [0] * (1 + len(node)))
            for each in node:
                place(each)

    place(data)
    return Source(positions, data)


def without(path):
    data = copy.deepcopy(FULL)
    *before, last = path
    holder = data
    for key in before:
        holder = holder[key]
    del holder[last]
    return data


def changed(path, value):
    data = copy.deepcopy(FULL)
    *before, last = path
    holder = data
    for key in before:
        holder = holder[key]
    match holder[last]:
        case str():
            holder[last] = value
        case [str(), *_]:
            holder[last] = [value]
        case _:
            return None
    return data


@cache
def whole():
    found = outcome(copy.deepcopy(FULL))
    assert found is not None, resolve(Spec(MeshSpec.model_validate(FULL), source(FULL), FILES)).findings
    return found


def makes_a_difference(path):
    """Whether the mesh is another without it, or with another value."""
    gone = outcome(without(path))
    if gone is None and not is_scalar(path):
        return True  # What is inside it is looked at for itself.
    if gone is not None and gone != whole():
        return True
    tried = (outcome(each) for each in (changed(path, value) for value in OTHERS) if each is not None)
    return any(each is not None and each != whole() for each in tried)


def is_scalar(path):
    node = FULL
    for key in path:
        node = node[key]
    return isinstance(node, str) or (isinstance(node, list) and all(isinstance(each, str) for each in node))


def test_every_field_is_in_the_example():
    assert fields_of(MeshSpec) - paths().keys() == set()


def test_what_is_said_to_be_idle_exists():
    assert IDLE.keys() - fields_of(MeshSpec) == set()


@pytest.mark.parametrize("field", sorted(fields_of(MeshSpec) - IDLE.keys()))
def test_a_field_makes_a_difference(field):
    assert any(makes_a_difference(each) for each in paths()[field]), paths()[field]


@pytest.mark.parametrize("field", sorted(IDLE))
def test_an_idle_field_is_idle(field):
    """Or it has got its lowering, and leaves the table."""
    assert not any(makes_a_difference(each) for each in paths()[field])
