"""HAProxy's configuration as HAProxy reads it: sections of lines of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from meshctl.audit.violations import Unreadable

_SECTIONS = re.compile(
    "global|defaults|frontend|backend|listen|peers|resolvers|ring|log-forward|userlist|mailers|cache|http-errors|program|fcgi-app"
)


Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """``lines``: the words of each, in order."""

    kind: str
    name: str
    lines: list[Words]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    def starting(self, *words: str) -> Iterator[Words]:
        """The lines that begin with ``words``."""
        count = len(words)
        return (line for line in self.lines if line[:count] == words)


def read(text: str) -> list[Section]:
    """Every section. Raises Unreadable for what HAProxy would not read."""
    found: list[Section] = []
    for line in text.split("\n"):
        words = _words(line)
        if not words:
            continue
        if line[0] not in " \t" and _SECTIONS.fullmatch(words[0]):
            found.append(Section(words[0], words[1] if len(words) > 1 else "", []))
        elif not found:
            raise Unreadable(f"a line before the first section: {words[0]}")
        else:
            found[-1].lines.append(words)
    return found


_WORD = re.compile(r"""(?:[^\s"'\\#]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""")
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^"'\\]+)""")
_IN_QUOTES = re.compile(r'\\([\\"$])')


@lru_cache(maxsize=1 << 14)
def _words(line: str) -> Words:
    """Many lines are the same in many files."""
    if not any(mark in line for mark in "\"'\\#"):
        return tuple(line.split())
    words, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        if line[at] == "#":
            break
        found = _WORD.match(line, at)
        if found is None:
            raise Unreadable("a quote that is not closed")
        words.append(_unquoted(found[0]))
        at = found.end()
    return tuple(words)


def _unquoted(word: str) -> str:
    def part(found: re.Match[str]) -> str:
        strong, weak, escaped, bare = found.groups()
        if weak is not None:
            return _IN_QUOTES.sub(r"\1", weak)
        return next(each for each in (strong, escaped, bare) if each is not None)

    return _PART.sub(part, word)


# Whatever has a value that could be taken for one of the words that are asked for.
_VALUED = frozenset(
    ("crt", "ca-file", "crl-file", "verify", "verifyhost", "sni", "alpn", "ciphers", "mode", "track")
)


def options(words: Iterable[str]) -> dict[str, str]:
    """What a `bind` or `server` line says, with the values of words that have one. The last one counts."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        found[word] = next(rest, "") if word in _VALUED else ""
    return found


def address_of(word: str) -> str:
    """An address as the model prints it."""
    return word.removeprefix("ipv6@").removeprefix("ipv4@")
