"""What is written for those who draw: hostile words stay words, the same graph is the same bytes, the page runs only its own."""

from __future__ import annotations

import html as markup
import json
import re
import subprocess
from base64 import b64encode
from datetime import date
from hashlib import sha256
from xml.etree import ElementTree as ET

import pytest

from meshctl import pipeline
from meshctl.pipeline import Picture
from tests.graph.spec import HOSTILE, SPEC

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "mesh.yaml"
    path.write_text(SPEC, "utf-8")
    return pipeline.graph(str(path), today=date(2026, 11, 22))


def test_mermaid_says_who_calls_whom(graph):
    lines = pipeline.draw(graph, Picture.MERMAID).splitlines()
    assert lines[0] == "flowchart LR"
    assert '  n3{{"edge<br/>envoy · http"}}' in lines
    assert '  n8 -->|"v1 75% · v2 20%"| n6' in lines
    assert '  n8 --x|"refused"| n0' in lines
    assert '  n4 -.->|"plaintext"| n5' in lines


def test_mermaid_reads_no_word_of_the_spec_as_its_own(graph):
    lines = pipeline.draw(graph, Picture.MERMAID, "owner").splitlines()
    (line,) = (each for each in lines if "onerror" in each)
    quoted = re.fullmatch(r'  subgraph g\d\["([^"<>`$;\\{}]|#\d+;)*"\]', line)
    assert quoted
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), line.partition('"')[2][:-2]) == HOSTILE


def test_graphviz_draws_what_is_meant(graph):
    drawn = subprocess.run(
        ["dot", "-Tsvg"],
        input=pipeline.draw(graph, Picture.DOT, "owner"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert drawn.stderr == ""
    root = ET.fromstring(drawn.stdout)  # noqa: S314 - our own
    said = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert HOSTILE in [each.replace("\xa0", " ") for each in said]
    titles = {each.text for each in root.iter(f"{SVG}title")}
    assert {each.name for each in graph.nodes} <= titles
    assert {f"{each.caller}->{each.callee}" for each in graph.edges} <= titles


def test_svg_is_xml_and_says_everything(graph):
    text = pipeline.draw(graph, Picture.SVG)
    root = ET.fromstring(text)  # noqa: S314 - our own
    names = [each.text for each in root.iter(f"{SVG}text") if each.get("class") == "name"]
    assert names == [each.name for each in graph.nodes]
    kinds = [
        each.get("class") for each in root.iter(f"{SVG}path") if each.get("class", "").startswith("edge")
    ]
    loops = sum(each.caller == each.callee for each in graph.edges)
    assert len(kinds) == len(graph.edges) - loops
    assert kinds.count("edge refused") == 1
    assert kinds.count("edge refused copy") == 1
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    grouped = ET.fromstring(pipeline.draw(graph, Picture.SVG, "owner"))  # noqa: S314 - our own
    titles = [each.text or "" for each in grouped.iter(f"{SVG}text") if each.get("class") == "title"]
    assert any(HOSTILE.startswith(each.removesuffix("…")) for each in titles)


def test_the_page_holds_its_data_and_runs_only_its_own_script(graph):
    text = pipeline.draw(graph, Picture.HTML)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    allowed = markup.unescape(policy[1])
    assert allowed.startswith("default-src 'none'; ")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in allowed
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    assert not re.search("[<>&]", found[1])
    assert HOSTILE in [each["owner"] for each in json.loads(found[1])["nodes"]]
    assert not re.search(r"(src|href)\s*=", text.partition('id="data"')[0])


@pytest.mark.parametrize("form", Picture)
def test_the_same_graph_is_the_same_bytes(form, graph):
    assert pipeline.draw(graph, form) == pipeline.draw(graph, form)


@pytest.mark.parametrize("form", Picture)
def test_a_part_of_the_mesh_can_be_drawn(form, graph):
    assert "books" not in pipeline.draw(graph.around("bank"), form)
