"""Nothing stands in an output but what the emitters write: whatever else a proxy understands may undo what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import orjson

from meshctl.audit.expectations import callers
from meshctl.audit.haproxy_text import Words
from meshctl.audit.violations import Invariant, Violation
from meshctl.audit.words import ENVOY_FIELDS, ENVOY_TYPES
from meshctl.ir import Sidecar

NGINX_TABLES = frozenset(("map", "geo", "split_clients"))
"""Blocks of rows, whose first words are values."""

ENVOY_FREE = frozenset(("policies", "providers", "requirement_map", "request_headers"))
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


def phrase(line: Words) -> str:
    """The words of a line of HAProxy's that say what it does; what a variable is called is left out."""
    return " ".join(word.partition("(")[0] for word in _saying(line))


def _saying(line: Words) -> Words:
    if line[:2] == ("tcp-request", "inspect-delay"):
        return line[:2]
    return line[: _LENGTHS.get(line[0], 1)]


_FIELD = re.compile(rb'"([^"\\]+)":')
_TYPE = re.compile(rb'"@type":\s*"([^"]*)"')
_FIELDS = frozenset(each.encode() for each in ENVOY_FIELDS)
_TYPES = frozenset(each.encode() for each in ENVOY_TYPES)


def envoy(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """Unknown fields and messages. The file for checking repeats the others, and no sidecar reads it."""
    known = _FIELDS | {each.encode() for each in callers(sidecar)}
    for path, content in files.items():
        if path.startswith("envoy/") and path.endswith(".json") and path != "envoy/check.json":
            for unknown in sorted({*_TYPE.findall(content)} - _TYPES):
                yield Violation(Invariant.WORDS, path, unknown.decode())
            # Most have nothing but names of services besides, and need no closer look.
            if not known.issuperset(_FIELD.findall(content)):
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
