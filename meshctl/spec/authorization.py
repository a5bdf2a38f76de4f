"""`authorization`, `allow`, `deny`: who may do what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from meshctl.spec.http_types import HeaderName, Method
from meshctl.spec.matching import HeaderMatch, PathMatchSpec
from meshctl.spec.types import (
    LABEL_PATTERN,
    Before,
    FilePath,
    Flag,
    FreeText,
    Given,
    Model,
    Name,
    name,
    refuse,
)

ANYONE = "*"
"""Every identity of the mesh."""
UNAUTHENTICATED = "unauthenticated"
"""Callers without a certificate, where mTLS is permissive. No service can have this name."""


def _caller(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    if value == ANYONE:
        return ANYONE
    try:
        return name(value)
    except ValueError:
        raise refuse("the name of a service or gateway, or `*`") from None


Caller = Annotated[
    str,
    Before(_caller),
    WithJsonSchema({"anyOf": [{"const": ANYONE}, {"type": "string", "pattern": LABEL_PATTERN}]}),
]


class AuthorizationSpec(Model):
    """`declared`: who lists a call may make it. `explicit`: the callee must allow it. `open`: everybody may."""

    mode: Given[Literal["declared", "explicit", "open"]] = None
    audit: Given[Flag] = None


class AuthorizationRuleSpec(Model):
    """All parts must hold, of a list any one."""

    callers: Given[list[Caller]] = Field(default=None, alias="from")
    methods: Given[list[Method]] = None
    paths: Given[list[PathMatchSpec]] = None
    headers: Given[dict[HeaderName, HeaderMatch]] = None
    jwt: Given[Name] = None
    claims: Given[dict[FreeText, FreeText]] = None


class JwtIssuerSpec(Model):
    """Whose tokens are good. `jwks` is a file below the spec's folder."""

    issuer: FreeText
    audiences: Given[list[FreeText]] = None
    jwks: FilePath


class JwtSpec(Model):
    """Issuers by name."""

    issuers: dict[Name, JwtIssuerSpec]
