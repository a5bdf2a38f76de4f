"""The shape of Prometheus' rules.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from fractions import Fraction

from meshctl.ir import duration_text

Rule = dict[str, object]

MADE = "Made by `meshctl observe`; changes are lost when it is made again."


def recording(name: str, expression: str, labels: Mapping[str, str] | None = None) -> Rule:
    """A series that Prometheus computes."""
    return {"record": name, "expr": expression, **({"labels": dict(labels)} if labels else {})}


def alert(
    name: str,
    expression: str,
    labels: Mapping[str, str],
    *,
    summary: str,
    description: str,
    lasting: timedelta = timedelta(),
) -> Rule:
    """``expression`` holds for ``lasting``. Labels and texts are Go templates, see :func:`literal`."""
    return {
        "alert": name,
        "expr": expression,
        **({"for": duration_text(lasting)} if lasting else {}),
        "labels": dict(labels),
        "annotations": {"summary": summary, "description": description},
    }


def group(name: str, rules: Iterable[Rule]) -> Rule:
    """Rules that are evaluated one after the other."""
    return {"name": name, "rules": list(rules)}


def literal(text: str) -> str:
    """A user's text where Prometheus expects a template."""
    return text.replace("{{", '{{ "{{" }}')


def number(value: Fraction) -> str:
    """As PromQL reads it: all its digits where they end, and otherwise seven of them."""
    return f"{float(value):.7g}"
