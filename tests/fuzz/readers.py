"""What is written for the proxies, read again by readers that are not ours, or that know nothing of how it was written."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crossplane


@dataclass(frozen=True)
class Read:
    """A file: its shape, which holds no text, and the texts in the order in which they stand."""

    shape: Any
    texts: tuple[str, ...]


def read(path: str, content: bytes) -> Read:
    """One file of a bundle. Raises ValueError for what its reader would not take."""
    text = content.decode("utf-8")
    if path.endswith(".json"):
        return _tree(json.loads(text))
    if path.endswith(".conf"):
        return _nginx(text)
    if path.endswith(".cfg"):
        return _haproxy(text)
    if path.endswith(("/run", "/reload")):
        words = tuple(shlex.split(text, comments=True))
        return Read(len(words), words)
    return Read("", (text,)) if path.endswith("README") else _program(text)


def _tree(node: Any) -> Read:
    texts: list[str] = []

    def shape(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: shape(below) for key, below in node.items()}
        if isinstance(node, list):
            return [shape(each) for each in node]
        if isinstance(node, str):
            texts.append(node)
            return str
        return node

    return Read(shape(node), tuple(texts))


def _nginx(text: str) -> Read:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf") as file:
        file.write(text)
        file.flush()
        found = crossplane.parse(file.name, single=True, check_ctx=False, check_args=False)
    errors = [each["error"] for each in found["errors"]]
    if errors:
        raise ValueError(errors[0])
    texts: list[str] = []

    def shape(block: list[dict[str, Any]]) -> list[Any]:
        shapes = []
        for each in block:
            arguments = each["args"]
            if each["directive"].endswith("_by_lua_block"):
                inner = _program(" ".join(arguments))
                texts.extend(inner.texts)
                arguments = [inner.shape]
            else:
                texts.extend(arguments)
                arguments = [str] * len(arguments)
            name = each["directive"]
            if not re.fullmatch("[a-z_0-9]+", name):
                # The key of a map.
                texts.append(name)
                name = ""
            shapes.append((name, arguments, shape(each.get("block", []))))
        return shapes

    (config,) = found["config"]
    return Read(shape(config["parsed"]), tuple(texts))


_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def haproxy_words(line: str) -> list[str]:
    """The words of a line, by chapter 2.2 of HAProxy's configuration manual. Raises ValueError where a quote has no end."""
    words: list[str] = []
    word: str | None = None
    quote, at = "", 0
    while at < len(line):
        sign = line[at]
        at += 1
        if quote == "'":
            quote, word = ("", word) if sign == "'" else (quote, (word or "") + sign)
        elif sign == "\\" and at < len(line):
            hexadecimal = re.match(r"x([0-9A-Fa-f]{2})", line[at:])
            piece = chr(int(hexadecimal[1], 16)) if hexadecimal else _ESCAPED.get(line[at], line[at])
            at += 3 if hexadecimal else 1
            word = (word or "") + piece
        elif quote == '"':
            if sign == "$":
                raise ValueError(f"a variable: {line!r}")
            quote, word = ("", word) if sign == '"' else (quote, (word or "") + sign)
        elif sign in "'\"":
            quote, word = sign, word or ""
        elif sign in " \t":
            if word is not None:
                words.append(word)
            word = None
        elif sign == "#":
            break
        else:
            word = (word or "") + sign
    if quote:
        raise ValueError(f"a quote without an end: {line!r}")
    return words if word is None else [*words, word]


def _haproxy(text: str) -> Read:
    shapes, texts = [], []
    for line in text.split("\n"):
        words = haproxy_words(line)
        if len(words) > 64:
            raise ValueError(f"{len(words)} words in a line")
        if words:
            texts += words[1:]
            shapes.append((line[:1].isspace(), words[0], len(words)))
    return Read(shapes, tuple(texts))


_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')


def _program(text: str) -> Read:
    """Lua, JavaScript, shell or words: what stands between quotes is text."""
    texts = [one or other for one, other in _LITERAL.findall(text)]
    return Read(_LITERAL.sub('""', text), tuple(texts))


def _lua(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1])), text)


def _bytes(text: str) -> str:
    """Characters that are bytes of UTF-8, as characters."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _regex(text: str) -> str:
    found = re.sub(r"\\x([0-9A-Fa-f]{2})", lambda found: f"\\{chr(int(found[1], 16))}", text)
    return re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL)


def _json_text(text: str) -> str:
    try:
        return "".join(json.loads(f'"{text}"'))
    except ValueError:
        return text


_LEVELS = (
    lambda text: text.replace("%%", "%"),
    lambda text: text.replace("${dollar}", "$"),
    lambda text: re.sub(r'\\([\\"])', r"\1", text),
    lambda text: text.removeprefix("\\"),
    lambda text: text.replace("$$", "$"),
    _regex,
    _json_text,
    _lua,
    _bytes,
    str.lower,
)
"""What may be between a text and its place in a file: levels of quoting."""


def meanings(text: str, depth: int = 4) -> Iterator[str]:
    """The text, and what it is with levels of quoting taken away."""
    seen, now = {text}, [text]
    yield text
    for _ in range(depth):
        found = dict.fromkeys(level(each) for each in now for level in _LEVELS)
        now = [each for each in found if each not in seen]
        seen.update(now)
        yield from now


def changed_alike(one: Read, other: Read, texts: tuple[str, str]) -> str:
    """Where ``other`` is not ``one`` with the second of the two texts in the place of the first; empty where it is."""
    if one.shape != other.shape or len(one.texts) != len(other.texts):
        return "another shape"
    old, new = texts
    for before, after in zip(one.texts, other.texts, strict=True):
        if before == after:
            continue
        wanted = {
            each.replace(o, n)
            for each in meanings(before, 2)
            for o, n in ((old, new), (old.lower(), new.lower()))
        }
        if not any(each in wanted for each in meanings(after)):
            return f"{before!r} became {after!r}"
    return ""


__all__ = ["Path", "Read", "changed_alike", "haproxy_words", "meanings", "read"]
