"""`authorization`: where permission to call comes from."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Given, Model


class AuthorizationSpec(Model):
    """`declared`: who lists a call may make it."""

    mode: Given[Literal["declared"]] = None
