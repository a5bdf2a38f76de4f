"""Collects what the emitters write, from their sources and from every golden output, as a module of the audit's.

Sources alone would miss words that are put together, goldens alone what no case has.
"""

import ast
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from meshctl.audit import haproxy_text, nginx_text
from meshctl.audit.vocabulary import ENVOY_FREE, NGINX_TABLES, phrase

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
HEAD = '''"""What the emitters write, and so all that an output may hold; made from sources and goldens by `make generate`."""

'''


def module() -> str:
    """The text of ``meshctl/audit/words.py``."""
    types: set[str] = set()
    fields: set[str] = set()
    for path in GOLDEN.glob("*/expected/**/envoy/**/*.json"):
        _collect(json.loads(path.read_bytes()), types, fields)
    for path in sorted((ROOT / "meshctl/targets/envoy").glob("*.py")):
        fields.update(_fields(ast.parse(path.read_text())))
    sets = {
        "ENVOY_TYPES": types,
        "ENVOY_FIELDS": fields,
        "HAPROXY_PHRASES": {*_haproxy_goldens(), *_haproxy_templates()},
        "NGINX_DIRECTIVES": {*_nginx_goldens(), *_nginx_templates()},
    }
    return HEAD + "\n".join(_literal(name, words) for name, words in sets.items())


def _literal(name: str, words: Iterable[str]) -> str:
    text = "\n".join(
        textwrap.wrap(", ".join(sorted(words)), 108, break_long_words=False, break_on_hyphens=False)
    )
    return f'{name} = frozenset(\n    """\\\n{text}\\\n""".replace("\\n", " ").split(", ")\n)\n'


def _collect(node: object, types: set[str], fields: set[str], parent: str = "") -> None:
    if isinstance(node, dict):
        if "@type" in node:
            types.add(node["@type"])
        for key, value in node.items():
            if parent not in ENVOY_FREE:
                fields.add(key)
            _collect(value, types, fields, key)
    elif isinstance(node, list):
        for each in node:
            _collect(each, types, fields, parent)


def _fields(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys):
                constants = (each.value for each in keys if isinstance(each, ast.Constant))
                yield from (each for each in constants if isinstance(each, str))
            case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Store()):
                yield name
            case ast.Call(func=ast.Name(id="typed"), keywords=named):
                yield from (each.arg for each in named if each.arg)
            case _:
                pass


def _haproxy_goldens() -> Iterator[str]:
    for path in GOLDEN.glob("*/expected/**/haproxy.cfg"):
        for section in haproxy_text.read(path.read_text()):
            yield section.kind
            yield from map(phrase, section.lines)


def _haproxy_templates() -> Iterator[str]:
    for path in (ROOT / "templates/haproxy").glob("*.cfg.j2"):
        for line in _without_jinja(path.read_text()):
            words = tuple(line.split())
            written = phrase(words) if words and words[0][0] != "#" else ""
            if written and "X" not in written:
                yield written


def _nginx_goldens() -> Iterator[str]:
    for path in GOLDEN.glob("*/expected/**/nginx.conf"):
        yield from _names(nginx_text.read(path.read_text()))


def _names(block: nginx_text.Directive) -> Iterator[str]:
    for each in block.block or ():
        yield each.name
        if each.name not in NGINX_TABLES:
            yield from _names(each)


_DIRECTIVE = re.compile(r"[a-z][a-z0-9_]+(?= [^=(]*[;{]$)")


def _nginx_templates() -> Iterator[str]:
    for path in (ROOT / "templates/nginx").glob("*.conf.j2"):
        for line in _without_jinja(path.read_text()):
            if found := _DIRECTIVE.match(line.strip()):
                yield found[0]


def _without_jinja(text: str) -> list[str]:
    return re.sub(r"\{\{.*?\}\}", "X", re.sub(r"\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)).splitlines()
