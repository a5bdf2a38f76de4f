"""Nothing stands in an output but what the emitters write: whatever else a proxy understands may undo what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import orjson

from meshctl.audit.haproxy_text import Section, Words
from meshctl.audit.nginx_text import Directive
from meshctl.audit.violations import Invariant, Violation
from meshctl.audit.words import ENVOY_FIELDS, ENVOY_TYPES, HAPROXY_PHRASES, NGINX_DIRECTIVES

NGINX_TABLES = frozenset(("map", "geo", "split_clients"))
"""Blocks of rows, whose first words are values."""

ENVOY_FREE = frozenset(("policies", "providers", "requirement_map"))
"""Fields whose keys are names of the mesh's."""

_LONGER = {
    "http-request": 2,
    "http-response": 2,
    "http-after-response": 2,
    "option": 2,
    "stats": 2,
    "timeout": 2,
}
_LONGEST = {"no": 3, "tcp-request": 3, "tcp-response": 3, "http-check": 2, "tcp-check": 2}
_LENGTHS = {**_LONGER, **_LONGEST}


@lru_cache(maxsize=1 << 15)
def phrase(line: Words) -> str:
    """The words of a line of HAProxy's that say what it does; what a variable is called is left out."""
    return " ".join(word.partition("(")[0] for word in _saying(line))


def _saying(line: Words) -> Words:
    if line[:2] == ("tcp-request", "inspect-delay"):
        return line[:2]
    return line[: _LENGTHS.get(line[0], 1)]


def haproxy(sections: list[Section]) -> Iterator[Violation]:
    """Unknown sections, keywords and actions."""
    for section in sections:
        unknown = {*map(phrase, section.lines), section.kind} - HAPROXY_PHRASES
        for each in sorted(unknown):
            yield Violation(Invariant.WORDS, str(section), f"`{each}`")


def nginx(block: Directive) -> Iterator[Violation]:
    """Unknown directives."""
    for each in block.block or ():
        if each.words[0] not in NGINX_DIRECTIVES:
            yield Violation(Invariant.WORDS, "nginx.conf", f"`{each.words[0]}`")
        if each.block and each.words[0] not in NGINX_TABLES:
            yield from nginx(each)


_FIELD = re.compile(rb'"([^"\\]+)":')
_TYPE = re.compile(rb'"@type":\s*"([^"]*)"')
_FIELDS = frozenset(each.encode() for each in ENVOY_FIELDS)
_TYPES = frozenset(each.encode() for each in ENVOY_TYPES)


def envoy(files: Mapping[str, bytes]) -> Iterator[Violation]:
    """Unknown fields and messages."""
    for path, content in files.items():
        if path.endswith(".json") and path.startswith("envoy/"):
            for unknown in sorted({*_TYPE.findall(content)} - _TYPES):
                yield Violation(Invariant.WORDS, path, unknown.decode())
            # Most have nothing but names of services besides, and need no closer look.
            if not _FIELDS.issuperset(_FIELD.findall(content)):
                yield from _fields(path, orjson.loads(content), "")


def _fields(path: str, node: object, parent: str) -> Iterator[Violation]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in ENVOY_FIELDS and parent not in ENVOY_FREE:
                yield Violation(Invariant.WORDS, path, f"`{key}`")
            yield from _fields(path, value, key)
    elif isinstance(node, list):
        for each in node:
            yield from _fields(path, each, parent)
