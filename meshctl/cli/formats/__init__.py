"""How findings are printed: one module for each format, each a pure function of findings and context.

Whoever adds a format writes such a module and lists it here. Nothing heavy is imported before a format is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from meshctl.cli.formats import github, gitlab, json, junit, sarif, text
from meshctl.cli.formats.context import Context
from meshctl.diagnostics import Finding


class Format(StrEnum):
    """What `--format` takes where findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"


RENDERERS: Mapping[Format, Callable[[Sequence[Finding], Context], str]] = {
    Format.TEXT: text.render,
    Format.JSON: json.render,
    Format.SARIF: sarif.render,
    Format.GITHUB: github.render,
    Format.GITLAB: gitlab.render,
    Format.JUNIT: junit.render,
}

__all__ = ["RENDERERS", "Context", "Format"]
