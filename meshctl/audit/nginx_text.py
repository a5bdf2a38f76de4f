"""NGINX's configuration as NGINX reads it: directives with words, and blocks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from meshctl.audit.violations import Unreadable


@dataclass(frozen=True, slots=True)
class Directive:
    """``block`` is None where there is a semicolon; ``code`` is what a block in Lua holds."""

    words: tuple[str, ...]
    block: list[Directive] | None = None
    code: str = ""

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    def __str__(self) -> str:
        return " ".join(self.words)

    def named(self, name: str) -> Iterator[Directive]:
        """Those directly inside that have this name."""
        return (each for each in self.block or () if each.words[0] == name)

    def blocks(self) -> Iterator[Directive]:
        """Those directly inside that have a block themselves."""
        return (each for each in self.block or () if each.block is not None)


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
    r"""--\[\[.*?\]\]|--[^\n]*|\[\[.*?\]\]|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}]""", re.DOTALL
)


def read(text: str) -> Directive:
    """The whole file, as a directive without words. Raises Unreadable for what NGINX would not read.

    Line by line as far as lines stand for themselves, for most of them are the same in many files.
    """
    whole: list[Directive] = []
    inside = [whole]
    lines = iter(text.split("\n"))
    for line in lines:
        for part in _parts(line) or _longer(line, lines):
            if isinstance(part, Directive):
                inside[-1].append(part)
            elif part:
                block: list[Directive] = []
                inside[-1].append(Directive(part, block))
                inside.append(block)
            elif len(inside) == 1:
                raise Unreadable("a brace too many")
            else:
                inside.pop()
    if len(inside) > 1:
        raise Unreadable("a block that does not end")
    return Directive((), whole)


Part = Directive | tuple[str, ...]
"""A whole directive; the words of a block that opens; no word for a block that closes."""


def _longer(line: str, lines: Iterator[str]) -> tuple[Part, ...]:
    """What ``line`` holds together with those behind it, of which as many are taken as it needs, or twice that."""
    text, size = [line], 1
    while (parts := _parts("\n".join(text))) is None:
        more = list(islice(lines, size))
        if not more:
            raise Unreadable("a directive that does not end")
        text += more
        size *= 2
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
