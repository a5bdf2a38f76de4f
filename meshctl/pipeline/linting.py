"""Whether a mesh is wise: the built-in policies and the team's own."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl.diagnostics import Finding, in_order
from meshctl.pipeline.checking import UNREADABLE, Validated, validate

if TYPE_CHECKING:
    from meshctl.lint import PolicySet


def lint(
    location: str, *, today: date, environment: str | None = None, policies: Path | None = None
) -> Validated:
    """What :func:`validate` finds, and what the built-in policies and those below ``policies`` do."""
    from meshctl import lint, resolve
    from meshctl.catalogue import CODES

    validated = validate(location, environment=environment, today=today)
    rules, texts = read_policies(policies)
    spec, mesh = validated.spec, validated.mesh
    unreadable = validated.unreadable or any(each.slug in UNREADABLE for each in rules.findings)
    if spec is None or mesh is None:
        found: tuple[Finding, ...] = rules.findings
    else:
        slugs = {each.slug for each in rules.policies}
        found = resolve.waive(lint.lint(mesh, spec, rules), spec, errors=slugs)
        found += tuple(resolve.idle(spec, today, (*validated.findings, *found), CODES.keys() | slugs))
    return dataclasses.replace(
        validated,
        findings=in_order((*validated.findings, *found)),
        texts={**texts, **validated.texts},
        unreadable=unreadable,
    )


def read_policies(own: Path | None) -> tuple[PolicySet, dict[str, str]]:
    """The built-in policies and the team's own, and the texts of their files."""
    from meshctl import lint, resources
    from meshctl.load import read_files, read_yaml

    listed = [read_files(str(each)) for each in (resources.folder("policies"), own) if each is not None]
    faults = tuple(fault for each in listed for fault in each.findings)
    documents = {file.name: read_yaml(file.content, file.name) for each in listed for file in each.files}
    rules = lint.read_policies(documents)
    texts = {name: each.text for name, each in documents.items()}
    return dataclasses.replace(rules, findings=(*faults, *rules.findings)), texts
