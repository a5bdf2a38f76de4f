"""NGINX's configuration as NGINX reads it: directives with words, and blocks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from meshctl.audit.violations import Unreadable


class Directive(NamedTuple):
    """``block`` is None where there is a semicolon; ``code`` is what a block in Lua holds.

    No dataclass: it is made in a third of the time, and a mesh has very many.
    """

    words: tuple[str, ...]
    block: list[Directive] | None = None
    code: str = ""

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    def __str__(self) -> str:
        return " ".join(self.words)

    def named(self, name: str) -> list[Directive]:
        """Those directly inside that have this name."""
        return [each for each in self.block or () if each.words[0] == name]

    def blocks(self) -> list[Directive]:
        """Those directly inside that have a block themselves."""
        return [each for each in self.block or () if each.block is not None]


# NGINX splits at blanks, `;`, `{` and `}`; a word that begins with a quote ends with it, and `${` is no block.
_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*"""
    r"""(?:((?:[^\s;{}\\"'$]|\\.|\$\{?)[^\s;{\\$]*(?:(?:\\.|\$\{?)[^\s;{\\$]*)*)"""
    r"""|([;{}])"""
    r"""|"([^"\\]*(?:\\.[^"\\]*)*)"(?=[\s;{)])"""
    r"""|'([^'\\]*(?:\\.[^'\\]*)*)'(?=[\s;{)])"""
    r"""|(\Z))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\ trn])""")
_END = 5
_SPELT = {"t": "\t", "r": "\r", "n": "\n"}
_LUA = re.compile(
    r"""--\[\[.*?\]\]|--[^\n]*+|\[\[.*?\]\]|"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+'|\{|\}""", re.DOTALL
)


def read(text: str) -> Directive:
    """The whole file, as a directive without words. Raises Unreadable for what NGINX would not read.

    Line by line as far as lines stand for themselves, for most of them are the same in many files.
    """
    whole: list[Directive] = []
    here, outside = whole, []
    lines = iter(text.split("\n"))
    for line in lines:
        parts = _parts(line)
        for part in _longer(line, lines) if parts is None else parts:
            if isinstance(part, Directive):
                here.append(part)
            elif part:
                block: list[Directive] = []
                here.append(Directive(part, block))
                outside.append(here)
                here = block
            elif outside:
                here = outside.pop()
            else:
                raise Unreadable("a brace too many")
    if outside:
        raise Unreadable("a block that does not end")
    return Directive((), whole)


Part = Directive | tuple[str, ...]
"""A whole directive; the words of a block that opens; no word for a block that closes."""


def _longer(line: str, lines: Iterator[str]) -> tuple[Part, ...]:
    """What ``line`` holds together with those behind it, to a brace below its beginning: a block in Lua ends there."""
    text = [line]
    brace = line[: len(line) - len(line.lstrip())] + "}"
    while (parts := _parts("\n".join(text))) is None:
        size = len(text)
        for more in lines:
            text.append(more)
            # Twice as many each time, so that what never ends is not read over and over.
            if more == brace and len(text) >= 2 * size:
                break
        if len(text) == size:
            raise Unreadable("a directive that does not end")
    return parts


@lru_cache(maxsize=1 << 14)
def _parts(text: str) -> tuple[Part, ...] | None:
    """None: there must be more text."""
    found: list[Part] = []
    words: list[str] = []
    at = 0
    while token := _TOKEN.match(text, at):
        at = token.end()
        mark = token[2]
        if token.lastindex == _END:
            break
        if mark is None:
            words.append(_unescaped(token[token.lastindex or 0]))
            continue
        if (mark == "}") is bool(words):
            raise Unreadable(f"{mark} behind {words}")
        if mark == "{" and words[0].endswith("_by_lua_block"):
            begin, at = at, _end_of_lua(text, at)
            if not at:
                return None
            found.append(Directive(tuple(words), code=text[begin : at - 1]))
        else:
            found.append(Directive(tuple(words)) if mark == ";" else tuple(words))
        words = []
    return None if token is None or words else tuple(found)


def _end_of_lua(text: str, at: int) -> int:
    """Behind the brace that closes; 0 where there is none."""
    depth = 1
    for found in _LUA.finditer(text, at):
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth -= 1
            if not depth:
                return found.end()
    return 0


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda found: _SPELT.get(found[1], found[1]), word) if "\\" in word else word
