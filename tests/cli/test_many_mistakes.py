"""All mistakes are told at once, of one file and of several, in the order of their places."""

from __future__ import annotations

import json

import pytest

from meshctl.cli.app import run

TOP = "apiVersion: meshctl.dev/v1\nmesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n"

# What the files hold, and what must be told: (file, line, column, slug), in this order.
CASES = {
    "shape, in one file": (
        {
            "mesh.yaml": TOP
            + "services:\n"
            + "  web:\n    prot: 80\n    timeout: 5\n    calls: {api: {}}\n"
            + "  api:\n    endpoints: [{address: nowhere}]\n    retries: {attempts: 99}\n",
        },
        [
            ("mesh.yaml", 5, 5, "unknown-key"),
            ("mesh.yaml", 6, 14, "invalid-value"),
            ("mesh.yaml", 9, 27, "invalid-value"),
            ("mesh.yaml", 10, 25, "invalid-value"),
        ],
    ),
    "meaning, in one file": (
        {
            "mesh.yaml": TOP
            + "services:\n"
            + "  web:\n    port: 80\n    endpoints: [{address: 10.0.0.1}]\n    calls: {apii: {}}\n"
            + "  api:\n    port: 80\n    endpoints: [{address: 10.0.0.2}]\n    retries: {attempts: 2}\n"
            + "    routes:\n      - {name: a, backends: [{subset: v9}], matches: [{path: {exact: /a//b}}]}\n"
            + "      - {name: a}\n",
        },
        [
            ("mesh.yaml", 7, 13, "undefined-reference"),
            ("mesh.yaml", 11, 15, "retries-without-condition"),
            ("mesh.yaml", 13, 39, "undefined-reference"),
            ("mesh.yaml", 13, 70, "path-not-canonical"),
            ("mesh.yaml", 14, 10, "duplicate-definition"),
        ],
    ),
    "shape and syntax, over files": (
        {
            "a.yaml": "services: {a: {port: x, endpoints: [{address: 10.0.0.1}]}}\n",
            "b/c.yaml": "services: {b: {port: 80, endpoints: [{address: 10.0.0.2}\n",
            "b/d.yaml": "services: {d: {port: 80, timout: 1s}}\n",
            "mesh.yaml": TOP + "defaults: {timeout: soon}\n",
        },
        [
            ("a.yaml", 1, 22, "invalid-value"),
            ("b/c.yaml", 1, 37, "yaml-syntax"),
            ("b/d.yaml", 1, 26, "unknown-key"),
            ("mesh.yaml", 3, 21, "invalid-value"),
        ],
    ),
    "meaning, over files": (
        {
            "a.yaml": "services: {a: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {x: {}}}}\n",
            "b.yaml": "gateways: {edge: {port: 8443, endpoints: [{address: 10.0.0.2}], calls: {y: {}}}}\n",
            "mesh.yaml": TOP
            + "services: {c: {port: 80, calls: {z: {}}, endpoints: [{address: 10.0.0.3}]}}\n",
        },
        [
            ("a.yaml", 1, 68, "undefined-reference"),
            ("b.yaml", 1, 73, "undefined-reference"),
            ("mesh.yaml", 3, 34, "undefined-reference"),
        ],
    ),
    "one name in two files": (
        {
            "a.yaml": "services: {web: {port: 80, endpoints: [{address: 10.0.0.1}]}}\n",
            "b.yaml": "gateways: {web: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {web: {}}}}\n",
            "mesh.yaml": TOP + "services: {web: {port: 81}}\nmesh: {name: again}\n",
        },
        [
            ("b.yaml", 1, 12, "duplicate-definition"),
            ("mesh.yaml", 3, 12, "duplicate-definition"),
            ("mesh.yaml", 4, 1, "duplicate-key"),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_all_mistakes_are_told_at_once_in_order(name, tmp_path, monkeypatch, capsys):
    files, expected = CASES[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    run(["validate", ".", "--format", "json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    found = [
        (each["at"]["file"], each["at"]["line"], each["at"]["column"], each["slug"])
        for each in findings
        if each["severity"] == "error"
    ]
    assert found == expected
