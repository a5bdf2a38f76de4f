"""The comparison with hand-written sidecars: what they are, and what its table tells."""

import json
from typing import Any

import jinja2
import pytest

from benchmarks import request_path
from benchmarks.request_path import BARE, DIRECT, LOGGED, MESHCTL
from benchmarks.sidecars import MINIMAL, Asking, Work
from meshctl import ir


class Turns:
    """Something that is alive and answers in so many seconds."""

    def __init__(self, seconds, processor):
        self._work = Work([seconds] * 100, seconds * 100, processor)

    def ask(self, asking):
        return self._work


@pytest.mark.parametrize("routes", [[], ["/r1", "/r2"]])
@pytest.mark.parametrize("logs", [False, True])
@pytest.mark.parametrize("service", ["caller", "callee"])
def test_what_is_written_by_hand_for_envoy_is_json(service, logs, routes):
    text = (MINIMAL / f"envoy.{service}.json").read_text(encoding="utf-8")
    written = json.loads(jinja2.Template(text, trim_blocks=True).render(routes=routes, logs=logs))
    assert ("access_log" in json.dumps(written)) is logs
    if service == "caller":
        assert json.dumps(written).count('"match"') == max(len(routes), 1)


def test_added_is_what_is_over_no_sidecar_and_times_are_to_the_one_with_a_log():
    alive: dict[str, Any] = {
        DIRECT: Turns(0.001, 0),
        BARE: Turns(0.002, 0.0001),
        LOGGED: Turns(0.003, 0.0002),
        MESHCTL: Turns(0.004, 0.0004),
    }
    bare, logged, own = request_path._compared(ir.Proxy.ENVOY, 1, alive, Asking(100), 3)
    assert [round(each.median, 6) for each in (bare, logged, own)] == [0.001, 0.002, 0.003]
    assert [round(each.times_median, 3) for each in (bare, logged, own)] == [0.5, 1, 1.5]
    assert [round(each.times_slow, 3) for each in (bare, logged, own)] == [0.5, 1, 1.5]
    assert [round(each.times_processor, 3) for each in (bare, logged, own)] == [0.5, 1, 2]
    assert own.per_second == pytest.approx(250)
    *_, last = request_path.render([bare, logged, own]).splitlines()
    assert last.split() == [
        "envoy",
        "1",
        "1",
        "meshctl",
        "3000",
        "us",
        "1.50",
        "x",
        "3000",
        "us",
        "1.50",
        "x",
        "400",
        "us",
        "2.00",
        "x",
        "250",
    ]
