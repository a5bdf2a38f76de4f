"""Compiled templates are kept beside their sources; whatever stands there, what is printed is the same."""

from __future__ import annotations

import sys
from importlib.util import cache_from_source

import jinja2
import pytest

from meshctl.targets.templates import environment


@pytest.fixture
def template(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = tmp_path / "proxy.cfg.j2"
    path.write_text("{% for each in names %}\nbind {{ each }}\n{% endfor %}\n", "utf-8")
    return path


def printed(template):
    made = environment(template.parent, lambda value: value).get_template(template.name)
    return made.render(names=["a", "b"])


def kept(template):
    return template.parent / "__pycache__" / cache_from_source(str(template)).rpartition("/")[2]


EXPECTED = "bind a\nbind b\n"


def test_it_is_compiled_once(template, monkeypatch):
    assert printed(template) == EXPECTED
    assert [path.name for path in template.parent.rglob("*.pyc")] == [kept(template).name]
    monkeypatch.setattr(jinja2.Environment, "_generate", None)
    assert printed(template) == EXPECTED


def test_a_changed_template_is_compiled_anew(template):
    printed(template)
    template.write_text("listen {{ names[0] }}", "utf-8")
    assert printed(template) == "listen a"
    assert printed(template) == "listen a"


def test_what_is_damaged_counts_for_nothing(template):
    printed(template)
    whole = kept(template).read_bytes()
    for at in range(0, len(whole), 37):
        kept(template).write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        assert printed(template) == EXPECTED
        assert kept(template).read_bytes() == whole
        kept(template).write_bytes(whole[:at])
        assert printed(template) == EXPECTED


def test_another_templates_code_counts_for_nothing(template):
    other = template.with_name("other.cfg.j2")
    other.write_text("another", "utf-8")
    printed(other)
    kept(other).replace(kept(template))
    assert printed(template) == EXPECTED


def test_where_python_keeps_nothing_neither_do_we(template, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert printed(template) == EXPECTED
    assert [path.name for path in template.parent.iterdir()] == [template.name]


def test_where_nothing_can_be_kept_it_works_all_the_same(template):
    (template.parent / "__pycache__").write_text("in the way", "utf-8")
    assert printed(template) == EXPECTED
    assert sorted(path.name for path in template.parent.iterdir()) == ["__pycache__", template.name]
