"""Who calls whom, how, who is let in, and what ends with what: asked of a mesh with something of everything."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from meshctl import pipeline
from meshctl.diagnostics import UsageError
from meshctl.graph.grouping import between, by, chosen, groupings
from meshctl.graph.model import Access, Kind, Security, dying
from meshctl.graph.views import label
from meshctl.graph.words import percent
from meshctl.pipeline import Picture
from tests.graph.large import mesh
from tests.graph.spec import SPEC


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "mesh.yaml"
    path.write_text(SPEC, "utf-8")
    return pipeline.graph(str(path), today=date(2026, 11, 22))


def edge(graph, caller, callee):
    return next(each for each in graph.edges if (each.caller, each.callee) == (caller, callee))


def test_everything_is_a_node(graph):
    assert {each.name: each.kind for each in graph.nodes} == {
        "audit": Kind.SERVICE,
        "bank": Kind.EXTERNAL,
        "books": Kind.SERVICE,
        "edge": Kind.GATEWAY,
        "pay": Kind.SERVICE,
        "post": Kind.EXTERNAL,
        "shop": Kind.SERVICE,
        "stock": Kind.SERVICE,
        "web": Kind.SERVICE,
    }


@pytest.mark.parametrize(
    ("caller", "callee", "protocol", "security", "access", "need", "split"),
    [
        ("edge", "web", "http", Security.MTLS, Access.PERMITTED, 1, {}),
        ("web", "shop", "http", Security.MTLS, Access.PERMITTED, 1, {"v1": "75%", "v2": "20%"}),
        ("web", "books", "tcp", Security.MTLS, Access.PERMITTED, 1, {}),
        ("web", "stock", "http", Security.PLAINTEXT, Access.PERMITTED, 1, {}),
        ("web", "audit", "http", Security.MTLS, Access.REFUSED, 0, {}),
        ("shop", "stock", "http", Security.PLAINTEXT, Access.PERMITTED, Fraction(1, 20), {"": "5%"}),
        ("shop", "audit", "http", Security.MTLS, Access.REFUSED, 0, {}),
        ("pay", "bank", "http", Security.TLS, Access.PERMITTED, 1, {}),
        ("pay", "post", "http", Security.PLAINTEXT, Access.PERMITTED, 1, {}),
    ],
)
def test_calls(graph, caller, callee, protocol, security, access, need, split):
    found = edge(graph, caller, callee)
    assert (found.protocol, found.security, found.access, found.need) == (protocol, security, access, need)
    assert {name: percent(share) for name, share in found.split} == split


def test_a_mirror_alone_is_a_copy(graph):
    assert [each.callee for each in graph.edges if each.copy] == ["audit"]


IDLE = """
apiVersion: meshctl.dev/v1
mesh: {name: d, domain: d.mesh, trustDomain: d.example}
services:
  a: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {b: {}, c: {}, h: {}, t: {localPort: 9000}}}
  b: {port: 80, endpoints: [{address: 10.0.0.2}]}
  c: {port: 80, endpoints: [{address: 10.0.0.3}], routes: [{name: on, backends: [{service: b}]}]}
  h: {port: 80, endpoints: [{address: 10.0.0.8}], allow: [{from: [b]}], routes: [{name: r, respond: {status: 200}}]}
  t: {port: 80, protocol: tcp, endpoints: [{address: 10.0.0.9}]}
"""


def test_a_call_of_which_nothing_arrives_says_so(tmp_path):
    (tmp_path / "mesh.yaml").write_text(IDLE, "utf-8")
    found = pipeline.graph(str(tmp_path / "mesh.yaml"), today=date(2026, 11, 22))
    told = {each.callee: label(found, nth) for nth, each in enumerate(found.edges)}
    assert told == {"b": "", "c": "no requests", "h": "no requests", "t": ""}
    assert {each.callee for each in found.edges if "its own sidecar" in " ".join(each.grounds)} == {"c", "h"}
    drawn = {each: pipeline.draw(found, each) for each in Picture}
    assert drawn[Picture.MERMAID].count('-.->|"no requests"|') == 2
    assert drawn[Picture.DOT].count('label="no requests", color="#9ca3af", style="dashed"') == 2
    assert drawn[Picture.SVG].count('class="edge idle"') == 2
    assert drawn[Picture.HTML].count('"kind":"idle"') == 2


def test_findings_stand_where_they_belong(graph):
    found = {each.name: [it.slug for it in each.findings] for each in graph.nodes}
    assert "unverified-server" in found["post"]
    assert "mirror-of-writes" in found["shop"]
    assert found["bank"] == []


def test_routes_and_policies_are_said(graph):
    shop = next(each for each in graph.nodes if each.name == "shop")
    (table,) = shop.tables
    assert table.callers == ("shop", "web")
    assert [(each.name, each.matches, each.leads) for each in table.routes] == [
        ("old", "= /old", "redirect 301"),
        ("copied", "POST · /orders/* · x-a~a+", "v1"),
        ("most", "everything", "v1 75% · v2 20% · stock 5%"),
    ]
    assert table.routes[1].details == "timeout 2s · up to 2 tries · 10% copied to audit"
    pay = next(each for each in graph.nodes if each.name == "pay")
    assert ("allow", "shop · POST; path `/charges` and below") in pay.policies
    assert ("rate limit", "10 of each caller per 1s, 10 at once") in pay.policies


@pytest.mark.parametrize(
    ("name", "whole", "part"),
    [
        ("bank", ("edge", "pay", "shop", "web"), ()),
        ("audit", (), ()),
        ("books", ("edge", "web"), ()),
        ("stock", ("edge", "web"), ("shop",)),
        ("edge", (), ()),
    ],
)
def test_what_dies_with_it(graph, name, whole, part):
    found = dying(graph, name)
    assert (found.whole, found.part) == (whole, part)


def test_around_a_service_are_those_before_and_behind_it(graph):
    found = graph.around("pay")
    assert [each.name for each in found.nodes] == ["bank", "edge", "pay", "post", "shop", "web"]
    assert all({each.caller, each.callee} <= {it.name for it in found.nodes} for each in found.edges)


def test_groups(graph, tmp_path):
    assert chosen(graph, None) is None
    tiers = by(graph, "tier")
    assert [name for name, _ in tiers.groups] == ["edge", "no tier", "outside"]
    assert sorted(each for _, members in tiers.groups for each in members) == list(range(9))
    assert {pair: len(edges) for pair, edges in between(tiers, graph).items()} == {
        (0, 1): 4,
        (1, 0): 1,
        (1, 2): 2,
    }
    with pytest.raises(UsageError, match="did you mean `tier`"):
        chosen(graph, "teir")
    (tmp_path / "mesh.yaml").write_text(mesh(80), "utf-8")
    larger = pipeline.graph(str(tmp_path / "mesh.yaml"), today=date(2026, 11, 22))
    found = chosen(larger, None)
    assert found is not None
    assert found.key == "owner"
    assert [each.key for each in groupings(larger)] == ["owner", "tier", "zone", "proxy"]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ((1, 1), "100%"),
        ((1, 3), "33%"),
        ((1, 40), "2.5%"),
        ((1, 20), "5%"),
        ((1, 100000), "<0.1%"),
        ((0, 1), "0%"),
    ],
)
def test_shares_are_said(share, said):
    assert percent(Fraction(*share)) == said
