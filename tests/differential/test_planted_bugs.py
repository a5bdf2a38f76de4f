"""Whether the differential test finds bugs: they are planted one at a time, in random meshes where all agree without."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meshctl import audit
from meshctl.ir import Proxy
from tests.behaviour.tables import Expect, Row
from tests.differential.bugs import BUGS, WEIGHTS
from tests.differential.comparing import CALLERS, Disagreement, compare, judge
from tests.differential.exchanges import exchange
from tests.differential.soaking import documents, rows_for
from tests.differential.worlds import Document, running

SEED, MESHES, ROWS = 1, 12, 40

LIMIT = 60.0
"""Seconds in which a bug has to be found."""

SPLIT = {
    "services": {
        "callee-0": {
            "proxy": "envoy",
            "routes": [{"name": "half", "backends": [{"service": "callee-0"}, {"service": "callee-1"}]}],
        },
        "callee-1": {"proxy": "nginx"},
    }
}
DRAWS = 600


def marked(bugs):
    return [
        pytest.param(bug, id=f"{bug.title}[{bug.proxy}]", marks=[] if bug.short else [pytest.mark.soak])
        for bug in bugs
    ]


def guarded(document: Document) -> Document:
    """The same rules with no routes before them, where requests seldom come as far, and something to refuse everywhere."""
    services = {
        name: {key: value for key, value in service.items() if key not in ("routes", "allow")}
        | {"deny": [*service.get("deny", []), {"paths": [{"prefix": "/a"}]}]}
        for name, service in document["services"].items()
    }
    return {"mesh": {"authorization": {"mode": "declared"}}, "services": services}


@dataclass
class Scenes:
    """Meshes, drawn before anything is planted, and their requests."""

    documents: list[Document]
    rows: dict[int, list[Row]] = field(default_factory=dict)

    def disagreements(self, number: int, callers: Sequence[Proxy], folder: Path) -> list[Disagreement]:
        """All callers are there, for routes name them, and ``callers`` ask."""
        document = self.documents[number]
        if number not in self.rows:
            self.rows[number] = rows_for(document, SEED + number, ROWS)
        with running(document, CALLERS, folder) as world:
            return judge(document, world, exchange(world, self.rows[number], callers)).disagreements


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    drawn = itertools.islice(documents(SEED, tmp_path_factory.mktemp("drawn")), MESHES)
    richest, *others = sorted(drawn, key=lambda document: len(str(document)), reverse=True)
    return Scenes([richest, guarded(richest), *others])


@contextmanager
def planted(bug) -> Iterator[None]:
    """What targets remember of the code as it was, or with the bug in it, is forgotten.

    The audit would stop some before they run; here the wire has to tell.
    """
    right = getattr(bug.where, bug.name)
    _forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bug.where, bug.name, bug.wrong(right))
        patch.setattr(audit, "require", lambda _: None)
        yield
    _forget()


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("meshctl.targets."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.mark.parametrize("bug", marked(BUGS))
def test_a_bug_is_found(bug, scenes, tmp_path):
    began = time.monotonic()
    with planted(bug):
        found = any(
            scenes.disagreements(each, [bug.proxy], tmp_path / str(each)) for each in range(MESHES + 1)
        )
    assert found
    assert time.monotonic() - began < LIMIT


def test_without_a_bug_nothing_is_found(scenes, tmp_path):
    for number in range(2):
        assert not scenes.disagreements(number, CALLERS, tmp_path / str(number))


@pytest.mark.soak
@pytest.mark.parametrize("number", range(2, MESHES + 1))
def test_without_a_bug_nothing_is_found_in_the_others(number, scenes, tmp_path):
    assert not scenes.disagreements(number, CALLERS, tmp_path)


def split_rows():
    return [Row("", Expect(), host="callee-0")] * DRAWS


@pytest.mark.parametrize("bug", marked(WEIGHTS))
def test_a_wrong_weight_is_found(bug, tmp_path):
    began = time.monotonic()
    with planted(bug):
        found = compare(SPLIT, split_rows(), [bug.proxy], folder=tmp_path).disagreements
    assert [str(each) for each in found if "share" in str(each)]
    assert time.monotonic() - began < LIMIT


def test_a_right_weight_is_none(tmp_path):
    assert not compare(SPLIT, split_rows(), CALLERS, folder=tmp_path).disagreements


def test_every_proxy_has_bugs():
    for proxy in Proxy:
        assert sum(bug.proxy is proxy for bug in (*BUGS, *WEIGHTS)) >= 3
