"""What the models take at a place: which keys, which values, and where else a key belongs."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from meshctl.spec import MeshSpec
from meshctl.spec.source import Node
from meshctl.spec.types import file_path

Annotation = Any


def annotation_at(path: Iterable[str | int], *, key: bool = False, root: Annotation = MeshSpec) -> Annotation:
    """What the models say of the value at ``path``, or with ``key`` of its last key; None where they say nothing."""
    annotation = root
    steps = list(path)
    for step in steps[:-1] if key else steps:
        annotation = _below(_bare(annotation), step)
    if not key:
        return annotation
    arguments = typing.get_args(_bare(annotation))
    return arguments[0] if len(arguments) == 2 else None


@cache
def keys(annotation: Annotation) -> Mapping[str, Annotation]:
    """The keys of a mapping whose keys are known, each with what it takes; empty for everything else."""
    model = _bare(annotation)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    fields = model.model_fields.items()
    return {each.alias or name: Annotated[each.annotation, *each.metadata, None] for name, each in fields}


def accepts(annotation: Annotation, node: Node) -> bool:
    """Whether ``node`` has the shape that is asked for."""
    if annotation is None:
        return False
    try:
        _adapter(annotation).validate_python(node)
    except ValidationError:
        return False
    return True


def words(annotation: Annotation) -> tuple[str, ...]:
    """The texts that alone, or beside others, are taken here."""
    return () if annotation is None else tuple(_constants(_adapter(annotation).json_schema()))


@cache
def homes(key: str, root: Annotation = MeshSpec) -> tuple[str, ...]:
    """Where in the language ``key`` belongs, such as ``services.<name>``; the shortest first."""
    found = {path for path, model in _mappings(root, ()) if key in keys(model)}
    return tuple(
        ".".join(path).replace(".[", "[") for path in sorted(found, key=lambda path: (len(path), path))
    )


def _mappings(annotation: Annotation, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Annotation]]:
    bare = _bare(annotation)
    known = keys(bare)
    if known:
        yield path, bare
        for key, below in known.items():
            yield from _mappings(below, (*path, key))
        return
    arguments = typing.get_args(bare)
    if arguments and _origin(bare) is not typing.Literal:
        step = "[]" if _origin(bare) is list else "<name>"
        yield from _mappings(arguments[-1], (*path, step))


def _constants(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        yield from (each for each in (*schema.get("enum", ()), schema.get("const")) if isinstance(each, str))
        for part in schema.get("anyOf", ()):
            yield from _constants(part)


@cache
def _adapter(annotation: Annotation) -> TypeAdapter[object]:
    return TypeAdapter(annotation)


def _below(annotation: Annotation, step: str | int) -> Annotation:
    known = keys(annotation)
    if known:
        return known.get(str(step))
    arguments = typing.get_args(annotation)
    return arguments[-1] if arguments else None


def _origin(annotation: Annotation) -> Any:  # noqa: ANN401 - annotations have no type
    return typing.get_origin(annotation)


def _bare(annotation: Annotation) -> Annotation:
    while True:
        origin = _origin(annotation)
        if origin is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
        else:
            return annotation


def is_list(annotation: Annotation) -> bool:
    """Whether a list is asked for."""
    return _origin(_bare(annotation)) is list


def is_file(annotation: Annotation) -> bool:
    """Whether the path of a file is asked for."""
    return any(getattr(each, "func", None) is file_path for each in typing.get_args(annotation))


def is_named(annotation: Annotation) -> bool:
    """Whether a mapping of the user's own names is asked for."""
    return _origin(_bare(annotation)) is dict
