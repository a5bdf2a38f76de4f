"""Who may do what to a service."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec.structs import replace

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, FeatureUse, Needs, needs
from meshctl.ir.jwt import JwtCondition, JwtIssuer
from meshctl.ir.matching import HeaderMatch, PathMatch
from meshctl.ir.mtls import WorkloadIdentity
from meshctl.ir.written import Written

UNAUTHENTICATED = "unauthenticated"
"""Stands among callers for all those without a certificate. No service has this name."""


class AuthorizationMode(StrEnum):
    """Where permission comes from. Only words for people and for lint: the rules say all of it.

    DECLARED: whoever lists a call may make it. EXPLICIT: the callee must allow it. OPEN: everybody in the
    mesh may, unless rules narrow it.
    """

    DECLARED = "declared"
    EXPLICIT = "explicit"
    OPEN = "open"


_MODE_FEATURES = {
    AuthorizationMode.DECLARED: (Feature.AUTHORIZATION_DECLARED,),
    AuthorizationMode.EXPLICIT: (Feature.AUTHORIZATION_EXPLICIT,),
    AuthorizationMode.OPEN: (Feature.AUTHORIZATION_OPEN,),
}


class AuthorizationRule(Written, frozen=True):
    """All parts must hold; an empty part holds for every request, but no principal means nobody.

    ``principals`` are known by their whole identity; ``anyone`` is every identity of the mesh's trust domain
    instead of them. ``unauthenticated`` adds callers without a certificate. Of ``methods`` and of ``paths`` any one, of ``headers`` all. Paths are as the callee's
    sidecar gets them, after rewriting. On a TCP listener there are principals only.
    """

    principals: tuple[WorkloadIdentity, ...] = ()
    anyone: bool = False
    unauthenticated: bool = False
    methods: tuple[str, ...] = ()
    paths: tuple[PathMatch, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()
    jwt: JwtCondition | None = None
    at: Position | None = None

    @property
    def principal(self) -> WorkloadIdentity:
        """The only principal of a rule that has one and nothing else."""
        (only,) = self.principals
        return only


class Authorization(Written, frozen=True):
    """Asked in this order: ``exempt`` lets in, ``deny`` refuses, ``allow`` lets in, everything else is refused.

    Refused is 403, or a closed connection on a TCP listener. It is 401 where no deny rule holds, and for an allow
    rule nothing is missing but a good token of its issuer. With ``audit`` what would be refused passes, and
    the access log says ``"audit":"denied"`` of it. ``rules`` allow; no rule allows nobody.
    """

    mode: Annotated[AuthorizationMode, Needs(_MODE_FEATURES.__getitem__)]
    rules: tuple[AuthorizationRule, ...] = ()
    deny: tuple[AuthorizationRule, ...] = ()
    exempt: tuple[AuthorizationRule, ...] = ()
    """Health checks by callers."""
    issuers: tuple[JwtIssuer, ...] = ()
    """Those that rules ask for."""
    audit: Annotated[bool, needs(Feature.AUTHORIZATION_AUDIT)] = False
    asks: tuple[FeatureUse, ...] = ()
    at: Position | None = None

    def of_plaintext(self) -> Authorization:
        """What of it is about callers without a certificate, where nobody else comes in; ``anyone`` is all of them."""
        exempt, deny, rules = (
            tuple(replace(each, principals=(), anyone=True) for each in group if each.unauthenticated)
            for group in (self.exempt, self.deny, self.rules)
        )
        return replace(self, rules=rules, deny=deny, exempt=exempt)

    @property
    def challenges(self) -> tuple[AuthorizationRule, ...]:
        """The rules that a better token could make let somebody in."""
        return tuple(rule for rule in self.rules if rule.jwt is not None)
