"""The order in which a change of `mtls` is deployed."""

import re

import pytest

from meshctl import pipeline
from meshctl.diff import compare

BASE = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, authorization: {mode: open}MTLS}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 80, endpoints: [{address: 10.0.1.1}], calls: {stock: {}}, ALLOW}
  stock: {port: 80, endpoints: [{address: 10.0.2.1}], calls: {BACK}, ALLOW}
"""
STRICT = ""
PERMISSIVE = ", mtls: {mode: permissive, until: 2099-01-01}"
DISABLED = ", mtls: {mode: disabled}"


@pytest.fixture
def order(tmp_path):
    def mesh(mode, extra):
        text = BASE.replace("MTLS", mode).replace("BACK", extra.get("back", ""))
        text = text.replace(", ALLOW", f", {extra['allow']}" if "allow" in extra else "")
        (tmp_path / "mesh.yaml").write_text(text, "utf-8")
        return pipeline.validate(str(tmp_path / "mesh.yaml")).require()

    def of(before, after, **extra):
        return compare(mesh(before, extra), mesh(after, extra)).order

    return of


ALL = "`catalog`, `stock`, `web`"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (STRICT, STRICT, []),
        (STRICT, ", mtls: {minVersion: '1.2'}", []),
        (STRICT, PERMISSIVE, [f"deploy {ALL}, in any order"]),
        (PERMISSIVE, STRICT, [f"see that nobody comes to {ALL} in plaintext any more", f"deploy {ALL}: what comes in plaintext is closed"]),
        (DISABLED, STRICT, [f"{ALL}: from disabled to strict in one step no order is safe"]),
        (STRICT, DISABLED, [f"{ALL}: from strict to disabled in one step no order is safe"]),
        (PERMISSIVE, DISABLED, ["deploy `web`: calls in plaintext", "deploy `catalog`, when all callers are", "deploy `stock`, when all callers are"]),
    ],
)  # fmt: skip
def test_each_change_has_its_order(before, after, expected, order):
    steps = order(before, after)
    assert len(steps) == len(expected), steps
    for step, beginning in zip(steps, expected, strict=True):
        assert step.startswith(beginning)


def test_who_is_called_comes_before_who_calls(order):
    steps = order(DISABLED, PERMISSIVE, allow='allow: [{from: ["*", unauthenticated]}]')
    assert [re.split("[,:]", step)[0] for step in steps] == [
        "deploy `stock`",
        "deploy `catalog`",
        "deploy `web`",
    ]


def test_old_callers_have_to_be_let_in_meanwhile(order):
    first, *_ = order(DISABLED, PERMISSIVE)
    assert first.startswith("let plaintext into `catalog`, `stock` for the time being")
    assert order(DISABLED, PERMISSIVE, allow="allow: [{from: [unauthenticated]}]")[0].startswith("deploy")


def test_of_a_ring_there_is_no_order(order):
    steps = order(DISABLED, PERMISSIVE, back="web: {}")
    assert steps[-1].startswith(
        "`catalog`, `stock`, `web` call each other, so no order of this change is safe"
    )
    assert order(PERMISSIVE, DISABLED, back="web: {}") == steps[-1:]
    own = order(DISABLED, PERMISSIVE, back="stock: {}")
    assert own[-1].startswith("`stock` calls itself")
