"""Whatever a spec and its environment hold: an answer, at a place, soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshctl import pipeline
from meshctl.load import limits

KEYS = st.sampled_from(
    [
        *("apiVersion", "mesh", "defaults", "services", "externals", "gateways", "lint", "nonsense", "name"),
        *(
            "requires",
            "trustDomain",
            "domain",
            "web",
            "api",
            "port",
            "endpoints",
            "address",
            "routes",
            "calls",
        ),
        *("timeout", "retries", "waive", "matches", "path", "prefix", "backends", "weight", "null", "0", "é"),
    ]
)
SCALARS = st.sampled_from(
    [
        *("", "~", "null", "shop", "shop.mesh", "shop.example", "meshctl.dev/v1", "80", "5s", "/a", "web"),
        *(
            '">=99"',
            '">=x"',
            "[]",
            "{}",
            "*a",
            "&a x",
            "!x y",
            "'",
            '"\\x1b"',
            "é",
            "- a",
            "a: b",
            "10.0.0.1",
        ),
    ]
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
        )
    ),
    max_leaves=25,
)
TOPS = st.lists(st.tuples(KEYS, TREES), max_size=5).map(
    lambda items: "".join(f"{key}: {value}\n" for key, value in items)
)
MESSAGE = 1000
SOUND = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], routes: [{name: a, timeout: 1s}, {name: b}]}
"""
FILES = st.one_of(st.binary(max_size=200), TOPS.map(str.encode), st.just(SOUND.encode()))


def load(folder, spec, over):
    """What is found in a spec and its environment, each fault checked to be at a place of a file."""
    (folder / "environments").mkdir(exist_ok=True)
    (folder / "mesh.yaml").write_bytes(spec)
    (folder / "environments" / "prod.yaml").write_bytes(over)
    loaded = pipeline.load(str(folder / "mesh.yaml"), "prod")
    assert (loaded.spec is None) == any(each.is_error for each in loaded.findings)
    found = (*loaded.findings, *loaded.read.compare_environments().findings)
    lines = {path: loaded.texts.get(path, "").split("\n") for path in loaded.texts}
    for each in found:
        assert each.at is not None, each
        assert each.message.isprintable(), each
        assert len(each.message) < MESSAGE, each.slug
        assert Path(each.at.file).is_file(), each
        text = lines[each.at.file]
        assert 1 <= each.at.line <= len(text), each
        assert 1 <= each.at.column <= len(text[each.at.line - 1]) + 1, each
        assert all(other.at.file in lines for other in each.related), each
    return loaded


@settings(max_examples=400, deadline=2000, suppress_health_check=list(HealthCheck))
@given(FILES, FILES)
@example(SOUND.encode(), b"services: {web: {routes: [{name: a, timeout: }, {name: c}]}}")
@example(SOUND.encode(), b"mesh:")
@example(SOUND.encode(), b"services:\n")
@example(b"", b"mesh: {requires: x}")
@example(b"services: {web: &a {port: 1}, api: *a}", b"services: {web: {port: 2}, api: }")
@example(b"- a", b"[]")
@example(SOUND.encode(), b'apiVersion: "\\0"')
@example(SOUND.encode(), b'"\\x1b": 1\nservices: {"\\e": {}}')
@example(b'apiVersion: x\n"\\x07": {}', b"")
def test_any_bytes_have_an_answer(tmp_path_factory, spec, over):
    load(tmp_path_factory.getbasetemp(), spec, over)


SERVICES = 20_000
HOSTILE = {
    "100,000 keys": (SOUND, "services:\n" + "".join(f"  s{n}: {{port: 1}}\n" for n in range(100_000))),
    "100,000 nulls": (SOUND, "services:\n" + "".join(f"  s{n}: null\n" for n in range(100_000))),
    "100,000 unknown nulls beside many services": (
        SOUND + "".join(f"  one-of-many-{n}: {{port: 1}}\n" for n in range(SERVICES)),
        "services:\n" + "".join(f"  one-or-many-{n}: null\n" for n in range(100_000)),
    ),
    "every service changed": (
        SOUND
        + "".join(f"  s{n}: {{port: 1, endpoints: [{{address: 10.0.0.1}}]}}\n" for n in range(SERVICES)),
        "services:\n" + "".join(f"  s{n}: {{timeout: 1s}}\n" for n in range(SERVICES)),
    ),
    "20,000 routes of one name": (
        SOUND,
        "services: {web: {routes: [" + ", ".join("{name: a, timeout: 2s}" for _ in range(20_000)) + "]}}",
    ),
    "20,000 routes merged over as many": (
        SOUND.replace("{name: b}", ", ".join(f"{{name: r{n}}}" for n in range(20_000))),
        "services: {web: {routes: ["
        + ", ".join(f"{{name: r{n}, timeout: 2s}}" for n in range(20_000))
        + "]}}",
    ),
    "as deep as a file may be": (SOUND, "{a: " * limits.DEPTH + "x" + "}" * limits.DEPTH),
    "deeper": (SOUND, "{a: " * 100_000),
    "lists in lists": (SOUND, "services: {web: {routes: " + "[" * 60 + "]" * 60 + "}}"),
    "aliases of aliases": (
        SOUND,
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{key}: &{key} [{', '.join([f'*{before}'] * 10)}]\n"
            for before, key in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ),
    "one large anchor in many places of both": (
        "services:\n  a: &a {"
        + ", ".join(f"k{n}: 1" for n in range(900))
        + "}\n"
        + "".join(f"  s{n}: *a\n" for n in range(9)),
        "services:\n  a: &a {"
        + ", ".join(f"k{n}: 2" for n in range(900))
        + "}\n"
        + "".join(f"  s{n}: *a\n" for n in range(9)),
    ),
    "a key and a value as long as a text may be": (
        SOUND,
        f"? {'k' * 60_000}\n: {'v' * 60_000}\nmesh: {{proxy: {'p' * 60_000}}}",
    ),
    "a requirement of a whole text": ("mesh: {requires: '" + ">=1," * 16_000 + "'}", "mesh: {name: x}"),
    "a version of thousands of digits": ("mesh: {requires: '>=" + "9" * 60_000 + "'}", "mesh: {name: x}"),
}
# What is linear takes a third of it; what is quadratic takes minutes.
CPU_SECONDS = 12


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_environment_costs_little(tmp_path, name):
    spec, over = HOSTILE[name]
    start = time.process_time()
    load(tmp_path, spec.encode(), over.encode())
    assert time.process_time() - start < CPU_SECONDS
