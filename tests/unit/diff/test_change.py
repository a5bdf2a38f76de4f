"""How far a change reaches, and what of it needs an order."""

from __future__ import annotations

import pytest

from meshctl import pipeline
from meshctl.diff import touched
from meshctl.diff.compare import compare
from meshctl.resolve import with_builds
from tests.unit.resolve.specs import resolved

BASE = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {shop: {}}}
  cron: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {shop: {timeout: 1m}}}
  shop:
    port: 80
    endpoints: [{address: 10.0.1.1}]
    calls: {stock: {}}
    routes: [{name: a, matches: [{path: {prefix: /a}}]}, {name: b}]
  stock: {port: 80, endpoints: [{address: 10.0.2.1}]}
"""


def change(tmp_path, before, after, mesh=""):
    return touched(
        *(with_builds(each) for each in (resolved(tmp_path, before), resolved(tmp_path, after, mesh)))
    )


@pytest.mark.parametrize(
    ("old", "new", "sidecars", "routes", "callers"),
    [
        ("", "", "", "", ""),
        ("{name: b}", "{name: b, timeout: 3s}", "cron web", "shop/b", "cron web"),
        ("cron: {port: 80", "cron: {port: 81", "cron", "", ""),
        ("{address: 10.0.2.1}", "{address: 10.0.2.2}", "shop", "", "shop"),
        ("{shop: {timeout: 1m}}", "{shop: {timeout: 2m}}", "cron", "shop/a shop/b", "cron"),
        ("{name: b}", "{name: c}", "cron web", "shop/b shop/c", "cron web"),
        ("calls: {shop: {}}}", "calls: {}}", "shop web", "shop/a shop/b", "web"),
    ],
)
def test_what_it_touches(tmp_path, old, new, sidecars, routes, callers):
    found = change(tmp_path, BASE, BASE.replace(old, new, 1))
    assert " ".join(found.sidecars) == sidecars
    assert " ".join(found.routes) == routes
    assert " ".join(found.callers) == callers
    assert not found.services_added
    assert not found.services_removed


def test_services_come_and_go(tmp_path):
    found = change(tmp_path, BASE, BASE.replace("cron:", "later:"))
    assert (found.services_added, found.services_removed) == (("later",), ("cron",))
    assert "cron" in found.sidecars
    assert "later" not in found.callers


RULES = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {shop: {}}}
  shop:
    port: 80
    endpoints: [{address: 10.0.1.1, port: 8080}]
    routes: [{name: a, matches: [{path: {prefix: /a}}], rewrite: {path: {prefix: /v1}}}]
    allow: [{from: [web], paths: [{prefix: /v1}]}]
"""


@pytest.mark.parametrize(
    ("edits", "what", "steps"),
    [
        ([], [], []),
        ([("8080", "8081")], ["the port of endpoints of `shop`"], ["in one step no order is safe", "take the old"]),
        ([("8080}", "8080}, {address: 10.0.1.1, port: 8081}")], [], []),
        ([("10.0.1.1, port: 8080", "10.0.1.9, port: 8081")], [], []),
        ([("port: 80\n", "port: 80\n    protocol: grpc\n")], ["the protocol of `shop`, from http to grpc"], ["deploy `shop`", "deploy `web`"]),
        ([("prefix: /v1}}}", "prefix: /v2}}}")], [], []),
        ([("/v1", "/v2")], ["the path that `shop` gets, and its rules about paths"], ["in one step no order is safe", "change the rewrite", "take the old paths"]),
    ],
)  # fmt: skip
def test_what_needs_an_order(tmp_path, edits, what, steps):
    after = RULES
    for old, new in edits:
        assert old in after
        after = after.replace(old, new)
    found = change(tmp_path, RULES, after)
    assert [each.what for each in found.ordered] == what
    told = [step for each in found.ordered for step in each.steps]
    assert [step.startswith(beginning) for step, beginning in zip(told, steps, strict=True)] == [True] * len(
        steps
    )
    assert all(each.callees == ("shop",) and each.callers == ("web",) for each in found.ordered)
    order = compare(resolved(tmp_path, RULES), resolved(tmp_path, after)).order
    moved = ("deploy `web` before `10.0.1.1:8080` of `shop` is stopped",) if "10.0.1.9" in after else ()
    assert order == (*told, *moved)


def test_back_to_http_the_callers_go_first(tmp_path):
    (found,) = change(tmp_path, RULES.replace("port: 80\n", "port: 80\n    protocol: http2\n"), RULES).ordered
    assert [step.split(",")[0] for step in found.steps] == [
        "deploy `web`: these call with HTTP/1.1 from then on",
        "deploy `shop`",
    ]


def test_a_trust_domain_has_no_order(tmp_path):
    old = resolved(tmp_path, RULES)
    text = (tmp_path / "mesh.yaml").read_text("utf-8").replace("shop.example", "other.example")
    (tmp_path / "mesh.yaml").write_text(text, "utf-8")
    new = pipeline.validate(str(tmp_path / "mesh.yaml")).require()
    (found,) = touched(with_builds(old), new).ordered
    assert (found.callees, found.callers) == ((), ())
    assert found.steps[0].startswith("in one step no order is safe")


def test_mtls_is_among_them(tmp_path):
    text = RULES.replace("from: [web], ", "")
    off = ", authorization: {mode: open}, mtls: {mode: disabled}"
    (found,) = change(tmp_path, text, text, off).ordered
    assert (found.what, found.callees, found.callers) == ("mTLS", ("shop", "web"), ("web",))
    assert found.steps[0].startswith("`shop`, `web`: from strict to disabled")
    opened = ", mtls: {mode: permissive, until: 2999-01-01}"
    assert change(tmp_path, text, text, opened).ordered == ()
