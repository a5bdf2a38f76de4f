"""`accessLog`: one line for every request."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from meshctl.spec.http_types import HeaderName
from meshctl.spec.types import Given, Model, Percent, refuse, text

_PLAIN = re.compile(r"[A-Za-z0-9-]{1,256}")


def _logged_header(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = "a header name of letters, digits and hyphens"
    written = text(value, expected)
    if not _PLAIN.fullmatch(written):
        raise refuse(expected)
    return written.lower()


LoggedHeader = Annotated[str, BeforeValidator(_logged_header), WithJsonSchema({"type": "string"})]


class RedactSpec(Model):
    """Headers of whose values nothing stands in a line, only that there was one."""

    headers: Given[list[HeaderName]] = None


class AccessLogSpec(Model):
    """`json` is the one schema of the mesh, the same on every proxy."""

    format: Given[Literal["json"]] = None
    headers: Given[list[LoggedHeader]] = None
    query: Given[Literal["drop", "names", "keep"]] = None
    redact: Given[RedactSpec] = None
    sampling: Given[Percent] = None
