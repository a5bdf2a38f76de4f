"""Every line of an access log, whatever clients sent, is one of schemas/access-log.schema.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas" / "access-log.schema.json").read_text("utf-8")
)
_VALIDATOR = Draft202012Validator(SCHEMA)
_FREE = {
    name
    for name, its in SCHEMA["properties"].items()
    if its.get("type") == "string" and not {"pattern", "minLength"} & its.keys()
}
_HEXADECIMAL = {"trace_id", "span_id", "parent_id", "build"}

Lines = Iterable[tuple[str, str]]


def access_log(lines: Lines) -> Iterator[tuple[str, str]]:
    """Those that a sidecar wrote and that are no message of the proxy's own."""
    return ((program, line) for program, line in list(lines) if program != "echo" and line.startswith('{"'))


def line_faults(lines: Lines) -> Iterator[str]:
    """What is wrong with any of them. Of lines that the schema cannot tell apart it looks at one."""
    judged: set[tuple[Any, ...]] = set()
    for program, line in access_log(lines):
        try:
            document = json.loads(line)
        except ValueError:
            yield f"{program} wrote a line that is no JSON: {line}"
            continue
        shape = tuple((key, _shape(key, value)) for key, value in document.items())
        if shape not in judged:
            judged.add(shape)
            for error in _VALIDATOR.iter_errors(document):
                yield f"{program} wrote a line of another schema ({error.json_path}: {error.message}): {line}"


def _shape(key: str, value: object) -> object:
    if isinstance(value, dict):
        return tuple((name, type(each)) for name, each in value.items())
    if not isinstance(value, str):
        return (type(value), str(value)[0], len(str(value)))
    if key in _FREE:
        return str
    return re.sub("[0-9a-f]" if key in _HEXADECIMAL else "[0-9]", "0", value)
