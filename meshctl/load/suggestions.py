"""What was probably meant. A value is only suggested when its place takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice, takewhile

from meshctl.load import foreign, language
from meshctl.spec.source import Node
from meshctl.spec.types import file_path

MEANT = re.compile(r"Did you mean `([A-Za-z]+)`\?")
"""What :func:`for_key` says where one key beside the others was probably meant."""

_ALTERNATIVES = 2
_LONGEST = 60
_NEAR, _SIMILAR = 0.8, 0.6
_FEW_KEYS = 8
_NEAR_HOME = 2
_PLAIN = re.compile(r"[A-Za-z0-9/_.%+-][A-Za-z0-9/_.%+:-]*")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
_SWITCHES = {"yes": "true", "on": "true", "y": "true", "1": "true", "no": "false", "off": "false"}
_SWITCHES |= {"n": "false", "0": "false", "enabled": "true", "disabled": "false"}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_CLOCK = re.compile(r"([0-9]+):([0-9]{1,2})(?::([0-9]{1,2}))?")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAYS = {"w": 7, "week": 7, "weeks": 7, "mo": 30, "y": 365, "year": 365, "years": 365}
_UNIT_NAMES = {"": ("s", "ms"), "milli": ("ms",), "sec": ("s",), "min": ("m",), "hour": ("h",), "hr": ("h",)}
_UNIT_NAMES |= {"day": ("d",)} | {unit: (unit,) for unit in _UNITS}
_REGEX = re.compile(r"[()\\|^$]|\.[*+?]")
_WEB = re.compile(r"https?://", re.IGNORECASE)
_PLAIN_WEB = re.compile(r"https?://[A-Za-z0-9/_.%+:~-]+", re.IGNORECASE)
_LONGEST_URL = 200
_GLUED = re.compile(r"([A-Za-z][A-Za-z0-9]*):(\S+)")


def for_key(word: str, path: Iterable[str | int], root: language.Annotation) -> str:
    """What to do about ``word``, which is no key of the mapping at ``path`` of ``root``."""
    path = tuple(path)
    known = sorted(language.keys(language.annotation_at(path, root=root)))
    inside = foreign.INSIDE.get(foreign.plain(word), "")
    if inside and {"path", "query"} <= set(known):
        return f"Did you mean `{inside}`?"
    meant = meant_key(word, known)
    if meant:
        return f"Did you mean `{meant}`?"
    homes = _nearest(language.homes(word, root), path)
    if homes:
        shown = (f"`{home}`" if home else "the top of the file" for home in homes)
        return f"It belongs to {' or '.join(shown)}."
    similar = _closest(word, known, _SIMILAR)
    if similar:
        return f"Did you mean `{similar}`?"
    return f"Known here: {', '.join(known)}." if known else ""


def _nearest(homes: Sequence[str], path: Sequence[str | int]) -> list[str]:
    """Of places where a key belongs those to tell somebody who wrote it at ``path``: below that, else around it."""
    shared = {home: _shared(home, path) for home in homes}
    below = [home for home in homes if path and shared[home] == len(path)]
    near = below or [home for home in homes if home.count(".") <= _NEAR_HOME]
    chosen = sorted(near, key=lambda home: -shared[home])[:_ALTERNATIVES]
    return [home for home in near if home in chosen]


def _shared(home: str, path: Sequence[str | int]) -> int:
    """How many steps ``home``, such as ``services.<name>.routes[]``, and ``path`` have in common."""
    steps = home.replace("[]", ".[]").split(".")
    meet = (
        step == "[]" if isinstance(at, int) else step in ("<name>", at)
        for step, at in zip(steps, path, strict=False)
    )
    return len(list(takewhile(bool, meet)))


def meant_key(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that ``word`` surely stands for, or an empty text."""
    known = tuple(known)
    translated = next((ours for ours in foreign.KEYS.get(foreign.plain(word), ()) if ours in known), "")
    return translated or _closest(word, known, _NEAR)


def for_nothing(annotation: language.Annotation) -> str:
    """What to do about a key without a value."""
    if language.accepts(annotation, {}):
        return "Indent what belongs to it, or write `{}` if there is nothing to say."
    return "Indent what belongs to it." if language.keys(annotation) else ""


def for_empty(annotation: language.Annotation) -> str:
    """What to do about a mapping without keys, where some are needed."""
    known = sorted(language.keys(annotation))
    few = 0 < len(known) <= _FEW_KEYS
    return f"Write some of its keys ({', '.join(known)}), or remove it." if few else ""


def for_value(node: Node, annotation: language.Annotation) -> str:
    """A question with what ``node`` could be instead, or an empty text."""
    if isinstance(node, dict) and node and all(key.startswith("-") for key in node):
        return "A blank is missing behind the `-` that begins an item."
    if isinstance(node, str) and language.is_file(annotation):
        return _for_file(node)
    seen: list[str] = []
    for candidate in islice(_candidates(node, annotation), 200):
        shown = _flow(candidate)
        if shown not in seen and len(shown) <= _LONGEST and language.accepts(annotation, candidate):
            seen.append(shown)
        if len(seen) == _ALTERNATIVES:
            break
    return f"Did you mean {' or '.join(f'`{each}`' for each in seen)}?" if seen else ""


def _for_file(text: str) -> str:
    """What to do about a ``text`` that is not the path of a file below the spec's folder."""
    if _WEB.match(text):
        url = text if _PLAIN_WEB.fullmatch(text) and len(text) <= _LONGEST_URL else "URL"
        return f"Save it below the spec: `curl -o keys/idp.json {url}`, and write `keys/idp.json`."
    tidied = _bare(text).replace("\\", "/").removeprefix("./")
    try:
        return f"Did you mean `{file_path(tidied)}`?"
    except ValueError:
        return "Copy it below the spec's folder, and write its path from there." if "/" in tidied else ""


def _closest(word: str, candidates: Iterable[str], cutoff: float) -> str:
    by_plain = {foreign.plain(candidate): candidate for candidate in candidates}
    found = get_close_matches(foreign.plain(word)[:_LONGEST], by_plain, n=1, cutoff=cutoff)
    return by_plain[found[0]] if found else ""


def _candidates(node: Node, annotation: language.Annotation) -> Iterator[Node]:
    if isinstance(node, str):
        if len(node) > _LONGEST or "-----" in node or not _bare(node):
            return
        yield from _of_text(node, annotation)
    elif language.is_list(annotation):
        if isinstance(node, dict):
            yield [node]
            yield list(node)
    elif isinstance(node, list):
        yield from _named(node)


def _of_text(text: str, annotation: language.Annotation) -> Iterator[Node]:
    known = language.keys(annotation)
    if language.is_list(annotation):
        parts = [part for part in re.split(r"[,;|\s]+", text) if part]
        lists: list[Node] = [
            [text],
            [*parts],
            [part.upper() for part in parts],
            [part.lower() for part in parts],
        ]
        yield from islice((each for each in lists if language.accepts(annotation, each)), 1)
    elif language.is_named(annotation):
        yield {text: {}}
    elif known and text.isalpha() and _SWITCHES.get(text.lower(), text.lower()) in ("true", "false"):
        # The word means no key; and to be switched on may be all that there is to say.
        yield from [{}] if _SWITCHES.get(text.lower(), text.lower()) == "true" else []
    elif known:
        glued = _GLUED.fullmatch(text)
        if glued:
            yield {glued[1]: glued[2]}
        if len(known) <= _FEW_KEYS:
            plainly: list[Node] = [{key: text} for key in known if language.accepts(annotation, {key: text})]
            yield from plainly or ({key: each} for each in _variants(text) for key in known)
        else:
            yield from ({key: text} for key in ("name", "service", "address") if key in known)
    else:
        bare = _bare(text)
        if bare != text and language.accepts(annotation, bare):
            yield bare
            return
        words = language.words(annotation)
        yield from foreign.WORDS.get(foreign.plain(text), ())
        yield from (each for each in (_closest(text, words, _SIMILAR),) if each)
        yield from _variants(text)


def _bare(text: str) -> str:
    return text.strip().strip(_QUOTES).strip()


def _variants(text: str) -> Iterator[str]:
    """The same in other spellings that people use."""
    bare = _bare(text)
    if _REGEX.search(bare):
        yield re.sub(r"[\^$]", "", bare)
        return
    yield bare.lower()
    yield bare.upper()
    yield bare.lower().replace("_", "-").replace(" ", "-")
    if bare.lower() in _SWITCHES:
        yield _SWITCHES[bare.lower()]
    yield from _amounts(bare)
    if bare.isdigit():
        yield bare.lstrip("0")
    yield bare.rstrip("%")
    yield "-".join(reversed(bare.split("."))) if bare.count(".") == 2 else bare.replace("/", "-")
    yield from _without_decoration(bare)
    yield f"{bare}:53"
    if "." not in bare:
        yield f"/{bare}"


def _amounts(text: str) -> Iterator[str]:
    """Percentages and durations."""
    clock = _CLOCK.fullmatch(text)
    if clock:
        units = "hms" if clock[3] else "ms"
        yield "".join(f"{int(number)}{unit}" for number, unit in zip(clock.groups(), units, strict=False))
    amount = _AMOUNT.fullmatch(text if text[:1].isdigit() else f"1{text}")
    if amount is None:
        return
    number, unit = float(amount[1]), amount[2].lower()
    if not unit:
        if 0 < number < 1:
            yield f"{number * 100:g}%"
        yield f"{text}%"
    if unit in _DAYS:
        yield f"{number * _DAYS[unit]:.0f}d"
    for name, meant in _UNIT_NAMES.items():
        if unit == name or (len(name) > 2 and unit.startswith(name)):
            yield from (_duration(number, each) for each in meant)


def _duration(number: float, unit: str) -> str:
    return f"{number:.0f}{unit}" if number.is_integer() else f"{number * _UNITS[unit]:.0f}ms"


def _without_decoration(text: str) -> Iterator[str]:
    """The host of an URL, the address of a socket, the name in an identity, the path before a query."""
    if "://" in text:
        authority, _, path = text.partition("://")[2].partition("/")
        yield authority.lower()
        yield authority.rpartition(":")[0].lower()
        yield path.rpartition("/")[2]
        return
    yield text.removeprefix("[").partition("]")[0]
    yield text.rpartition(":")[0].lower()
    yield text.partition("?")[0]
    yield text.partition(".")[0]


def _named(items: list[Node]) -> Iterator[Node]:
    """A mapping by name from a list of names, or of mappings with a name in each."""
    if all(isinstance(item, str) for item in items):
        yield {str(item): {} for item in items}
        return
    made: dict[str, Node] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            return
        rest = {key: value for key, value in item.items() if key != "name"}
        made[str(item["name"])] = rest["value"] if list(rest) == ["value"] else rest
    yield made


def _flow(node: Node) -> str:
    """As it would be written in one line."""
    if isinstance(node, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(_flow, node)) + "]"
    text = node or ""
    return text if _PLAIN.fullmatch(text) and not text.endswith(":") else json.dumps(text, ensure_ascii=False)
