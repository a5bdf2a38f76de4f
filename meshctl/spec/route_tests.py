"""`*.test.yaml`: requests, and what is to become of each."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from meshctl.spec.http_types import Body, HeaderName, HeaderValue, Method, ResponseStatus
from meshctl.spec.types import (
    Before,
    Duration,
    FreeText,
    Given,
    Listed,
    Model,
    Name,
    Percent,
    given,
    refuse,
    text,
    whole_field,
)

_URL = re.compile(r"https?://(?:(?![/?#])[!-~])+(?:[/?][!-~]*)?")
_LONGEST_URL = 4096
_MOST_TRIES = 11


def _url(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = "a URL as it stands on the wire, such as http://catalog/items?page=1 (printable ASCII, no #)"
    written = text(value, expected)
    if len(written) > _LONGEST_URL or not written.isascii() or not _URL.fullmatch(written) or "#" in written:
        raise refuse(expected)
    return written


Url = Annotated[str, Before(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]


def _lines(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


HeaderLines = Annotated[
    list[FreeText],
    Before(_lines),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ]
        }
    ),
]
"""The values of a header's lines in order; one may stand alone, and null or ``[]`` means that there is none."""

Shares = Listed[dict[FreeText, Percent]]


class TestedRequestSpec(Model):
    """What an application sends to its own sidecar, or at a gateway the world."""

    __test__ = False
    caller: Name = Field(alias="from")
    method: Method = "GET"
    url: Url
    headers: Given[dict[HeaderName, HeaderValue]] = None
    body: Given[Body] = None


class ExpectationSpec(Model):
    """What is to become of it; what is left out is not looked at."""

    status: Given[ResponseStatus] = None
    route: Given[Name] = None
    callee: Given[Name] = None
    backends: Shares = None
    mirrors: Shares = None
    timeout: Given[Duration] = None
    tries: Given[
        Annotated[
            int,
            whole_field(0, _MOST_TRIES, "a number of tries"),
            WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _MOST_TRIES}),
        ]
    ] = None
    path: Given[FreeText] = None
    host: Given[FreeText] = None
    headers: Given[dict[HeaderName, HeaderLines]] = None
    location: Given[FreeText] = None


class RouteTestSpec(Model):
    """One request and what is expected of it."""

    name: FreeText
    request: TestedRequestSpec
    expect: Annotated[ExpectationSpec, Before(given), Field(json_schema_extra={"minProperties": 1})]


class RouteTestsSpec(Model):
    """A file of tests."""

    tests: Annotated[list[RouteTestSpec], Before(given), Field(json_schema_extra={"minItems": 1})]
