"""Every code that a finding can carry, with what `meshctl explain CODE` says of it.

Codes are stable and never used again for something else; the slug is the human name. Lint rules are
not here: each has its own file in ``policies/``. A file for each range: 0 reading · 1 references and shape ·
2 routing · 3 timeouts and retries · 4 resilience · 5 security · 6 certificates · 7 portability · 8 change · 9 drift.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.catalogue import (
    certificates,
    change,
    drift,
    portability,
    reading,
    resilience,
    retries,
    routing,
    security,
    shape,
)
from meshctl.catalogue.code import Code
from meshctl.diagnostics import Finding, Mend, Part, Position, Related, Remove, Severity

_RANGES = (reading, shape, routing, retries, resilience, security, certificates, portability, change, drift)

CODES: Mapping[str, Code] = {each.slug: each for module in _RANGES for each in module.CODES}
"""By slug."""


def finding(
    slug: str,
    at: Position | None,
    message: str,
    *,
    fix: str = "",
    severity: Severity | None = None,
    related: tuple[Related, ...] = (),
    alike: str = "",
    remove: Part | None = None,
) -> Finding:
    """A finding of the kind ``slug``; what is not said here comes from the catalogue.

    ``remove`` is what does nothing: without it every sidecar does the same.
    """
    kind = CODES[slug]
    return Finding(
        code=kind.code,
        slug=kind.slug,
        severity=severity or kind.severity,
        message=message,
        at=at,
        why=kind.why,
        fix=fix or kind.fix,
        related=related,
        alike=alike,
        mend=Mend(Remove(remove)) if remove is not None else None,
    )


__all__ = ["CODES", "Code", "finding"]
