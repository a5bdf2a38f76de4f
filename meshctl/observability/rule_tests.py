"""`rules.test.yaml`: that the rules do what they are for, asked by `promtool test rules`.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from meshctl.artifacts import Document
from meshctl.ir.observability import Observed
from meshctl.observability import alerts, recording
from meshctl.observability.rules import MADE

PATH = "rules.test.yaml"
_FAILING, _CALM = 10, 40
"""Minutes; the longer one outlasts the half hour that the slower of the two pages looks back."""

_ALWAYS_PAGES = Fraction(92, 100)
"""An objective from which on somebody is called whatever the window, when all requests fail."""

Part = dict[str, object]


def emit(observed: Observed) -> Document:
    """The file: one service and one objective stand for all, whose rules are alike."""
    content: Part = {
        "rule_files": [recording.PATH, alerts.PATH],
        "evaluation_interval": "1m",
        # What alerts ask for is recorded first.
        "group_eval_order": [
            *recording.groups(observed),
            *alerts.groups(observed),
        ],
        "tests": [*_down(observed), *_burning(observed)],
    }
    return Document(PATH, (MADE, "promtool test rules rules.test.yaml"), content)


def _down(observed: Observed) -> Iterator[Part]:
    for each in islice(observed.watched, 1):
        labels = f'job="meshctl",mesh="{observed.mesh}",service="{each.service}",instance="x"'
        question = f'alertname="MeshSidecarDown",service="{each.service}"'
        yield {
            "name": "a sidecar that goes away, and comes back",
            "interval": "1m",
            "input_series": [{"series": f"up{{{labels}}}", "values": "1x5 0x9 1x10"}],
            "promql_expr_test": [_firing(question, at, number) for at, number in ((5, 0), (10, 1), (20, 0))],
        }


def _burning(observed: Observed) -> Iterator[Part]:
    paging = (each for each in observed.watched if each.slo and (each.slo.availability or 0) >= _ALWAYS_PAGES)
    for each in islice(paging, 1):
        labels = f'mesh="{observed.mesh}",direction="outbound",caller="x",callee="{each.service}",route=""'
        # A hundred a minute: all of them fail for a while, and then none.
        series = {
            "200": f"0x{_FAILING} 100+100x{_CALM}",
            "503": f"0+100x{_FAILING} {100 * _FAILING}x{_CALM}",
        }
        question = f'alertname="MeshErrorBudgetBurnsFast",callee="{each.service}",slo="availability"'
        yield {
            "name": "an error budget that burns, until it does not",
            "interval": "1m",
            "input_series": [
                {"series": f'mesh_requests_total{{{labels},status="{status}"}}', "values": values}
                for status, values in series.items()
            ],
            "promql_expr_test": [
                _firing(question, _FAILING, 1),
                _firing(question, _FAILING + _CALM, 0),
            ],
        }


def _firing(question: str, minute: int, number: int) -> Part:
    return {
        "expr": f'count(ALERTS{{alertstate="firing",{question}}}) or vector(0)',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": number}],
    }
