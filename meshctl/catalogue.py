"""Every code that a finding can carry, with what `meshctl explain CODE` says of it.

Codes are stable and never used again for something else; the slug is the human name. Lint rules are
not here: each has its own file in ``policies/``. Ranges: 0 reading · 1 references and shape · 2 routing ·
3 timeouts and retries · 4 resilience · 5 security · 6 certificates · 7 portability · 8 change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.diagnostics import Finding, Position, Related, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. ``why`` says what goes wrong if it is left, ``fix`` the usual way out."""

    code: str
    slug: str
    why: str
    fix: str
    severity: Severity = Severity.ERROR


_CODES = (
    # --- reading -----------------------------------------------------------------------------
    Code(
        "MSH0001",
        "yaml-syntax",
        "The file is not YAML, so nothing in it can be read.",
        "Mend the syntax at the place shown; an editor with YAML support marks it too.",
    ),
    Code(
        "MSH0002",
        "unreadable-file",
        "A spec is made of regular UTF-8 files of bounded size below one folder, so that a build never depends on anything else.",
        "Save the file as UTF-8 text below the spec's folder.",
    ),
    Code(
        "MSH0003",
        "duplicate-key",
        "YAML parsers keep one of the two values and drop the other in silence.",
        "Keep one of them.",
    ),
    Code(
        "MSH0004",
        "yaml-feature-refused",
        "Tags, merge keys, several documents and large alias expansions make a spec mean something else than it shows.",
        "Write the values out.",
    ),
    Code(
        "MSH0005",
        "too-large",
        "Bounds on size, depth and number of nodes keep a hostile file from exhausting the machine.",
        "Split the spec into several files.",
    ),
    Code(
        "MSH0006",
        "empty-spec",
        "There is nothing to compile.",
        "Point to a mesh file or to a folder with one; `meshctl --help` shows the default places.",
    ),
    # --- references and shape ----------------------------------------------------------------
    Code(
        "MSH1001",
        "unknown-key",
        "A misspelt key would otherwise do nothing, and nobody would notice until it matters.",
        "Correct the spelling, or remove the key.",
    ),
    Code(
        "MSH1002",
        "undefined-reference",
        "What is named here does not exist in the mesh.",
        "Correct the name, or define it.",
    ),
    Code(
        "MSH1003",
        "duplicate-definition",
        "Two definitions of one thing: which one holds would depend on the order of files.",
        "Keep one of them.",
    ),
    Code(
        "MSH1004",
        "port-conflict",
        "Two listeners cannot share one address and port; the second would refuse to start.",
        "Give one of them another port, or another host.",
    ),
    Code(
        "MSH1005",
        "missing-key",
        "Without it the rest cannot be understood.",
        "Add the key.",
    ),
    Code(
        "MSH1006",
        "invalid-value",
        "The value is not of the kind that this key takes.",
        "Write a value of the kind shown.",
    ),
    Code(
        "MSH1007",
        "empty-value",
        "An empty value where something is needed hides a mistake: nothing, everything or a default could be meant.",
        "Write the value, or remove the key.",
    ),
    Code(
        "MSH1008",
        "unsupported-version",
        "The file was written for another version of the language.",
        "Set `apiVersion: meshctl.dev/v1`, or use the version of meshctl that this spec requires.",
    ),
)

CODES: Mapping[str, Code] = {each.slug: each for each in _CODES}
"""By slug."""


def finding(  # noqa: PLR0913 - one argument for each thing a finding says
    slug: str,
    at: Position | None,
    message: str,
    *,
    fix: str = "",
    severity: Severity | None = None,
    related: tuple[Related, ...] = (),
) -> Finding:
    """A finding of the kind ``slug``; what is not said here comes from the catalogue."""
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
    )
