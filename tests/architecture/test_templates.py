"""Templates show the shape of a file and decide nothing: loops, presence, includes and printed tokens."""

from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
SOURCES = sorted(TEMPLATES.rglob("*.j2"))
PLACES = (nodes.Name, nodes.Getattr)


def faults(node):
    """What a template does beyond its grammar, as (line, what)."""
    match node:
        case nodes.Template() | nodes.TemplateData() | nodes.Name() | nodes.Getattr():
            pass
        case nodes.Output(nodes=printed):
            wrong = [each for each in printed if not isinstance(each, (nodes.TemplateData, *PLACES))]
            yield from ((each.lineno, f"prints {type(each).__name__}") for each in wrong)
        case nodes.For(target=target, iter=iterated):
            if not isinstance(iterated, PLACES) or not isinstance(target, nodes.Name):
                yield node.lineno, "loops over something else than a field"
            if node.test or node.else_ or node.recursive:
                yield node.lineno, "has more to a loop than a body"
        case nodes.If(test=test):
            if not isinstance(test, PLACES):
                yield node.lineno, "asks something else than presence"
            if node.elif_:
                yield node.lineno, "has an elif"
        case nodes.Include(template=template):
            if not isinstance(template, nodes.Const) or node.ignore_missing:
                yield node.lineno, "includes what is not a fixed template"
            return
        case _:
            yield node.lineno, f"has a {type(node).__name__}"
    for child in node.iter_child_nodes():
        yield from faults(child)


def faults_of(text):
    return list(faults(jinja2.Environment(autoescape=False).parse(text)))  # noqa: S701 - never rendered


def test_there_are_templates():
    assert {source.parent.name for source in SOURCES} == {"haproxy", "nginx"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(TEMPLATES)))
def test_a_template_decides_nothing(source):
    assert not faults_of(source.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "{{ a | upper }}",
        "{{ a + b }}",
        "{{ a.b() }}",
        "{{ 'text' }}",
        "{{ a[0] }}",
        "{% if a == b %}x{% endif %}",
        "{% if not a %}x{% endif %}",
        "{% if a %}x{% elif b %}y{% endif %}",
        "{% for a in b if a %}x{% endfor %}",
        "{% for a in b %}x{% else %}y{% endfor %}",
        "{% for a in b() %}x{% endfor %}",
        "{% for a, b in c %}x{% endfor %}",
        "{% set a = b %}",
        "{% macro a() %}x{% endmacro %}",
        "{% include a %}",
        "{% include 'a' ignore missing %}",
        "{% raw %}x{% endraw %}{{ a ~ b }}",
    ],
)
def test_what_decides_is_caught(text):
    assert faults_of(text)


@pytest.mark.parametrize(
    "text", ["{{ a.b.c }}", "{% for a in b.c %}{% if a.d %}{{ a }}{% else %}x{% endif %}{% endfor %}"]
)
def test_what_shows_is_not(text):
    assert not faults_of(text)
