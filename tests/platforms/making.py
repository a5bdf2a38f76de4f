"""Meshes, and what is made of them for a platform."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from meshctl import pipeline
from meshctl.artifacts import Artifact
from meshctl.diagnostics import FindingsError
from meshctl.platforms import Options, Platform

ROOT = Path(__file__).resolve().parents[2]
SPECS = {
    "shop": ROOT / "examples/shop",
    "reference": ROOT / "tests/golden/reference/mesh.yaml",
    "cluster": ROOT / "docs/deploy.yaml",
}


@cache
def validated(name: str) -> pipeline.Validated:
    """One of SPECS."""
    return pipeline.validate(str(SPECS[name]))


def made(name: str, platform: Platform, **options: Any) -> tuple[Artifact, ...]:
    """The files; raises FindingsError."""
    return pipeline.deploy(validated(name), platform, Options(**options))[0]


def documents(artifacts: tuple[Artifact, ...]) -> dict[str, Any]:
    """What is in the files of YAML, by path."""
    return {
        each.path: yaml.load(each.content, yaml.CSafeLoader)
        for each in artifacts
        if each.path.endswith(".yaml")
    }


def told(name: str, platform: Platform) -> str:
    """Findings as one line each."""
    try:
        findings = pipeline.deploy(validated(name), platform, Options())[1]
    except FindingsError as error:
        findings = error.findings
    return "".join(
        f"{each.at.line if each.at else 0}:{each.at.column if each.at else 0} {each.severity} {each.code} {each.message}\n"
        for each in findings
    )
