"""`accessLog`: one line for every request."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.http_types import HeaderName
from meshctl.spec.types import Given, Model


class RedactSpec(Model):
    """Headers that never stand in a line. None does so far."""

    headers: Given[list[HeaderName]] = None


class AccessLogSpec(Model):
    """`json` is the one schema of the mesh, the same on every proxy."""

    format: Given[Literal["json"]] = None
    redact: Given[RedactSpec] = None
