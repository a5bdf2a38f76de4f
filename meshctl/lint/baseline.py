"""A baseline: the findings that a mesh had on the day when its team began to lint it, held back until they are mended.

Mandatory rules, and whatever `validate` finds, are never held back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct, field, structs

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Identity, Position, UsageError, identity

VERSION = 1
MOST = 1_000_000
"""How often one finding may be counted; far above what a readable mesh brings about."""

_KEYS = ("code", "slug", "resource", "message")
_TOP = {"schemaVersion", "mesh", "environment", "findings"}


class Baseline(Struct, frozen=True):
    """How often each finding was there, for one mesh and one environment of it."""

    mesh: str
    environment: str | None
    counts: Mapping[Identity, int]
    places: Mapping[Identity, Position] = field(default_factory=dict)
    """Where each stands in the file that was read."""


class Absent(Struct, frozen=True):
    """What a baseline holds and nothing matches any more."""

    identity: Identity
    count: int
    at: Position


def count(
    findings: Iterable[Finding], resource_of: Callable[[Position | None], str], holdable: Collection[str]
) -> Counter[Identity]:
    """How often each finding is there that a baseline can hold: not waived, with a slug in ``holdable``."""
    return Counter(
        identity(each, resource_of(each.at)) for each in findings if each.slug in holdable and not each.waived
    )


def hold_back(
    findings: Sequence[Finding],
    counts: Mapping[Identity, int],
    resource_of: Callable[[Position | None], str],
    holdable: Collection[str],
) -> tuple[tuple[Finding, ...], Mapping[Identity, int]]:
    """The findings, marked where ``counts`` covers them, the first of those that are alike first; and what is left."""
    left = dict(counts)
    held = []
    for each in findings:
        key = identity(each, resource_of(each.at))
        known = each.slug in holdable and not each.waived and left.get(key, 0) > 0
        if known:
            left[key] -= 1
        held.append(structs.replace(each, in_baseline=True) if known else each)
    return tuple(held), {key: count for key, count in left.items() if count}


def idle(absent: Iterable[Absent]) -> Iterator[Finding]:
    """Entries that hold back less than they could, so that the file shrinks."""
    for each in absent:
        _, slug, resource, words = each.identity
        whose = f" of `{resource}`" if resource else ""
        often = f", {each.count} times more than it is there" if each.count > 1 else ""
        message = f"the baseline holds back `{slug}`{whose}{often}, which is mended or waived: {words}"
        yield finding("unused-baseline", each.at, message)


def write(baseline: Baseline) -> bytes:
    """The file: a line for each entry, in order of codes, resources and words."""
    top = json.dumps(
        {"schemaVersion": VERSION, "mesh": baseline.mesh, "environment": baseline.environment}, indent=2
    )
    lines = ",\n    ".join(_line(key, count) for key, count in sorted(baseline.counts.items()))
    entries = f"[\n    {lines}\n  ]" if lines else "[]"
    return f'{top[:-2]},\n  "findings": {entries}\n}}\n'.encode()


def _line(key: Identity, count: int) -> str:
    more = {"count": count} if count > 1 else {}
    text = json.dumps(dict(zip(_KEYS, key, strict=True)) | more, ensure_ascii=False)
    # What a reader of a diff would not see, or would see in another order, is an escape.
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else json.dumps(c)[1:-1]
        for c in text
    )


def read(content: bytes, name: str) -> Baseline:
    """The baseline in the file ``name``. Raises UsageError, with the place, for anything but a baseline."""
    import orjson

    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{name}:{error.lineno}:{error.colno}: not a baseline: {error.msg}") from None
    if not isinstance(document, dict) or "schemaVersion" not in document:
        _refuse(name, "it is not an object with `schemaVersion`")
    version = document["schemaVersion"]
    if version != VERSION or isinstance(version, bool):
        _refuse(name, f"it has `schemaVersion` {_shown(version)}, and this meshctl reads {VERSION}")
    if document.keys() != _TOP:
        _refuse(name, f"its keys have to be {', '.join(f'`{each}`' for each in sorted(_TOP))}")
    mesh, environment, entries = document["mesh"], document["environment"], document["findings"]
    if not isinstance(mesh, str) or not isinstance(environment, str | None) or not isinstance(entries, list):
        _refuse(name, "`mesh` has to be text, `environment` text or null, `findings` a list")
    counts: dict[Identity, int] = {}
    for index, entry in enumerate(entries):
        key, count = _entry(name, index, entry)
        if key in counts:
            _refuse(name, f"`findings[{index}]` is there twice: {key[3]}")
        counts[key] = count
    return Baseline(mesh, environment, counts, _places(content.decode(), name, counts))


def _places(text: str, name: str, counts: Mapping[Identity, int]) -> dict[Identity, Position]:
    """Lines as :func:`write` writes them are found; of what another program has written only the file is told."""
    lines = {line.strip().rstrip(","): number for number, line in enumerate(text.split("\n"), 1)}
    return {key: Position(name, lines.get(_line(key, count), 1), 1) for key, count in counts.items()}


def _entry(name: str, index: int, entry: object) -> tuple[Identity, int]:
    if not isinstance(entry, dict) or entry.keys() - {"count"} != set(_KEYS):
        _refuse(name, f"`findings[{index}]` has to have {', '.join(_KEYS)}, and may have a count")
    code, slug, resource, words = (entry[key] for key in _KEYS)
    if not all(isinstance(each, str) for each in (code, slug, resource, words)):
        _refuse(name, f"`findings[{index}]`: {', '.join(_KEYS)} have to be text")
    count = entry.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
        _refuse(name, f"`findings[{index}]`: `count` has to be a whole number from 1 to {MOST}")
    return (code, slug, resource, words), count


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 20 else f"{text[:20]}…"


def _refuse(name: str, why: str) -> NoReturn:
    raise UsageError(
        f"{name}: not a baseline: {why}; mend it, or remove it and write it with --update-baseline"
    )
