"""Codes of range 5: security."""

from __future__ import annotations

from meshctl.catalogue.code import Code

CODES = (
    Code(
        "MSH5001",
        "shared-trust-domain",
        "In one trust domain identities are the same: with the CA of the other environment, a certificate of staging is good in production.",
        "Give each environment a `mesh.trustDomain` of its own.",
    ),
)
