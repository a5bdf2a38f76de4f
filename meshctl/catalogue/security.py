"""Codes of range 5: security."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
    Code(
        "MSH5001",
        "shared-trust-domain",
        "In one trust domain identities are the same: with the CA of the other environment, a certificate of staging is good in production.",
        "Give each environment a `mesh.trustDomain` of its own.",
    ),
    Code(
        "MSH5002",
        "rule-without-call",
        "With `authorization: declared` a rule narrows calls that are declared; of one that is not it grants nothing.",
        "List the callee under the caller's `calls`, or take the caller out of the rule.",
        Severity.WARNING,
    ),
    Code(
        "MSH5003",
        "call-without-grant",
        "The caller relies on this call, and every request of it will be answered 403.",
        "Let the callee's `allow` name the caller, or remove the call.",
        Severity.WARNING,
    ),
    Code(
        "MSH5004",
        "unauthenticated-caller",
        "With strict mutual TLS nobody gets in without a certificate, so the rule is about nobody.",
        "Remove it; `unauthenticated` is for `mtls: {mode: permissive}`.",
    ),
    Code(
        "MSH5020",
        "unknowable-caller",
        "With `mtls: {mode: disabled}` nobody shows a certificate: a rule for one caller would hold for none, or for all.",
        "Leave `from` out, or give the service `mtls: {mode: permissive, until: …}`.",
    ),
    Code(
        "MSH5021",
        "permissive-ended",
        "What was let in until everybody has a sidecar is a door that nobody watches afterwards.",
        "Write `mtls: {mode: strict}`, or another date if somebody still comes in plaintext.",
    ),
    Code(
        "MSH5022",
        "header-of-the-mesh",
        "Until the rules have been asked, what stands in such a header is what the caller wrote, so it says nothing of who calls; and behind them sidecars take it away.",
        "Name the caller under `from`: that is read from its certificate. Else use a header of your own.",
    ),
    Code(
        "MSH5023",
        "header-of-the-hop",
        "Such a header is meant for the next proxy alone, and some take it away before they ask the rules: a `deny` by it would refuse nobody there.",
        "Use a header of your own. Whether a protocol is changed is said by the service's `protocol`.",
    ),
    Code(
        "MSH5005",
        "path-rule-with-path-policy",
        "Where paths that are not canonical get through, one and the same resource has many paths, and a rule sees only one.",
        "Allow and deny by method or caller, or leave `pathPolicy` out.",
    ),
    Code(
        "MSH5006",
        "plain-on-tls-port",
        "Everybody expects TLS on this port: what is meant to be secret would cross the network in the open, or nothing would understand it.",
        "Write `tls`, or choose another port.",
        Severity.WARNING,
    ),
    Code(
        "MSH5009",
        "open-to-others",
        "Whoever reaches the port of a sidecar's own application speaks as that service, whoever reaches the application is past its sidecar, and the admin port tells of both.",
        "Leave the address out: these ports are on loopback, which is where sidecar and application meet.",
        Severity.WARNING,
    ),
    Code(
        "MSH5010",
        "secret-in-key-set",
        "To verify tokens takes public keys alone; whoever reads a private or symmetric one in the repository can make tokens as the issuer does.",
        "Take the key set that the issuer publishes (`jwks_uri`), and replace this key: it is known now.",
    ),
    Code(
        "MSH5011",
        "unusable-key-set",
        "Without its keys no token of the issuer can be verified, and a key that one proxy takes and another does not would make tokens good here and bad there.",
        "Take the key set that the issuer publishes (`jwks_uri`), with keys for RS256, RS384, RS512, ES256, ES384 or ES512.",
    ),
)
