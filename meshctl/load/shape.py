"""Raw nodes to MeshSpec: the one validation pass, its errors told in the user's words and places."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.load.requirement import unmet
from meshctl.load.text import brief
from meshctl.spec import MeshSpec, Source

_KIND_WORDS = {
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_type": "text",
}


def shape(source: Source) -> tuple[MeshSpec | None, tuple[Finding, ...]]:
    """The spec that ``source`` holds, or None and every fault of shape in it."""
    version = unmet(source)
    try:
        written = MeshSpec.model_validate(source.node)
    except ValidationError as error:
        faults = tuple(_finding(detail, source) for detail in error.errors(include_url=False))
        return None, (version, *faults) if version else faults
    return (None, (version,)) if version else (written, ())


def _finding(detail: ErrorDetails, source: Source) -> Finding:
    path = _written(list(detail["loc"]), source)
    kind = detail["type"]
    at = source.at(*path)
    shown = _shown(path)
    match kind:
        case "extra_forbidden":
            return _unknown_key(path, at)
        case "missing":
            return finding(
                "missing-key", source.at(*path[:-1]), f"`{path[-1]}` is missing from {_shown(path[:-1])}"
            )
        case "literal_error" if path == ["apiVersion"]:
            message = (
                f"{shown} is {_echo(detail['input'])}; this version of meshctl knows {_expected(detail)}"
            )
            return finding("unsupported-version", source.value_at("apiVersion"), message)
        case "empty":
            return finding("empty-value", at, f"{shown} is written, but has no value")
        case _:
            expected = _expected(detail)
            container = source
            for key in path[:-1]:
                container = container[key]
            place = at if str(detail["loc"][-1]) == "[key]" or not path else container.value_at(path[-1])
            return _wrong_value(detail, shown, expected, place or at)


def _written(path: list[str | int], source: Source) -> list[str | int]:
    """The path as far as it was written: without the mark of a key, and without the long form of a scalar."""
    if path and path[-1] == "[key]":
        path.pop()
    cursor = source
    for number, key in enumerate(path):
        if isinstance(cursor.node, str):
            return path[:number]
        cursor = cursor[key]
    return path


def _wrong_value(detail: ErrorDetails, shown: str, expected: str, at: Position | None) -> Finding:
    if detail["input"] is None:
        return finding("empty-value", at, f"{shown} is written, but has no value; it must be {expected}")
    suggestion = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        suggestion = _closest(detail["input"], expected.replace("'", "").replace(" or ", ", ").split(", "))
    return finding(
        "invalid-value",
        at,
        f"{shown} must be {expected}, not {_echo(detail['input'])}",
        fix=f"Did you mean `{suggestion}`?" if suggestion else "",
    )


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] in _KIND_WORDS:
        return _KIND_WORDS[detail["type"]]
    context = detail.get("ctx", {})
    return str(context.get("expected", detail["msg"]))


def _echo(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    if "-----BEGIN" in text:
        return "a PEM block (not shown)"
    return f"`{brief(text)}`"


def _shown(path: Iterable[str | int]) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{brief(key)}"
    return f"`{text.lstrip('.')}`" if text else "the spec"


def _unknown_key(path: list[str | int], at: Position | None) -> Finding:
    known = sorted(_known_keys(path[:-1]))
    closest = _closest(str(path[-1]), known)
    fix = f"Did you mean `{closest}`?" if closest else f"Known here: {', '.join(known)}." if known else ""
    return finding(
        "unknown-key", at, f"`{brief(str(path[-1]))}` is not a key of {_shown(path[:-1])}", fix=fix
    )


def _closest(word: str, candidates: Iterable[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = get_close_matches(word.lower().replace("_", "").replace("-", ""), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def _known_keys(path: Iterable[str | int]) -> Iterator[str]:
    annotation: Any = MeshSpec
    for key in path:
        annotation = _below(_bare(annotation), key)
    model = _bare(annotation)
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield from (each.alias or name for name, each in model.model_fields.items())


def _below(annotation: Any, key: str | int) -> Any:  # noqa: ANN401 - annotations have no type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, each in annotation.model_fields.items():
            if key in (each.alias, name):
                return each.annotation
        return None
    arguments = typing.get_args(annotation)
    return arguments[-1] if arguments else None


def _bare(annotation: Any) -> Any:  # noqa: ANN401
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
        else:
            return annotation
