"""`accessLog`: one line for every request."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Given, Model


class AccessLogSpec(Model):
    """`json` is the one schema of the mesh, the same on every proxy."""

    format: Given[Literal["json"]] = None
