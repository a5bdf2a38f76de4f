"""Conditions on a request: in routes, and in rules of authorization."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema

from meshctl.spec.http_types import HeaderValue, Path, QueryValue, Regex
from meshctl.spec.types import Before, Given, Model, refuse


class PathMatchSpec(Model):
    """Exactly one of the three. A prefix goes by whole segments, a regex takes the whole path."""

    exact: Given[Path] = None
    prefix: Given[Path] = None
    regex: Given[Regex] = None


def _present(value: Any) -> bool:  # noqa: ANN401 - a validator sees raw nodes
    if value != "true":
        raise refuse("true (a condition that something is absent cannot be written)")
    return True


Present = Annotated[bool, Before(_present), WithJsonSchema({"const": True})]


class HeaderMatchSpec(Model):
    """Exactly one of the three."""

    exact: Given[HeaderValue] = None
    regex: Given[Regex] = None
    present: Given[Present] = None


class QueryMatchSpec(Model):
    """Exactly one of the three. Text is compared as it stands on the wire, nothing decoded."""

    exact: QueryValue | None = None
    regex: Given[Regex] = None
    present: Given[Present] = None


def _exact(value: Any) -> Any:  # noqa: ANN401
    return {"exact": value} if isinstance(value, str) else value


def _either(exact: dict[str, Any]) -> WithJsonSchema:
    kinds = {"exact": exact, "regex": {"type": "string", "minLength": 1}, "present": {"const": True}}
    mapping = {
        "type": "object",
        "properties": kinds,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return WithJsonSchema({"anyOf": [exact, mapping]})


HeaderMatch = Annotated[HeaderMatchSpec, Before(_exact), _either({"type": "string", "minLength": 1})]
"""``x-beta: "true"`` stands for ``x-beta: {exact: "true"}``."""
QueryMatch = Annotated[QueryMatchSpec, Before(_exact), _either({"type": "string"})]
