"""HAProxy's configuration as HAProxy reads it: sections of lines of words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from meshctl.audit.violations import Unreadable

_SECTIONS = re.compile(
    "global|defaults|frontend|backend|listen|peers|resolvers|ring|log-forward|userlist|mailers|cache|http-errors|program|fcgi-app"
)
_UNINDENTED = re.compile(r"\n(?=[^ \t\n#])")

Words = tuple[str, ...]


class Section(Struct, frozen=True):
    """``lines``: the words of each, in order."""

    kind: str
    name: str
    lines: list[Words]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    def starting(self, first: str, *others: str) -> list[Words]:
        """The lines that begin with these words."""
        words, count = (first, *others), 1 + len(others)
        return [line for line in self.lines if line[0] == first and line[:count] == words]


def read(text: str) -> list[Section]:
    """Every section. Raises Unreadable for what HAProxy would not read."""
    found: list[Section] = []
    for part in _UNINDENTED.split(text):
        # No loop of our own: a mesh of a thousand services has two hundred thousand lines, of which most are known.
        lines = list(filter(None, map(_words, part.split("\n"))))
        if not lines:
            continue
        (kind, *names), *rest = lines
        if part[0] not in " \t\n#" and _SECTIONS.fullmatch(kind):
            found.append(Section(kind, names[0] if names else "", rest))
        elif found:
            found[-1].lines.extend(lines)
        else:
            raise Unreadable(f"a line before the first section: {kind}")
    return found


_WORD = r"""(?:[^\s"'\\#]++|\\.|'[^']*+'|"(?:[^"\\]++|\\.)*+")++"""
_WORDS = re.compile(rf"{_WORD}|#.*", re.DOTALL)
_WHOLE = re.compile(rf"(?:\s*+{_WORD})*+\s*+(?:#.*)?", re.DOTALL)
_MARKS = re.compile(r"""["'\\#]""")
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^"'\\]+)""")
_IN_QUOTES = re.compile(r'\\([\\"$])')


@lru_cache(maxsize=1 << 16)
def _words(line: str) -> Words:
    """Many lines are the same in many files."""
    if not _MARKS.search(line):
        return tuple(line.split())
    if not _WHOLE.fullmatch(line):
        raise Unreadable("a quote that is not closed")
    return tuple(_unquoted(word) for word in _WORDS.findall(line) if word[0] != "#")


def _unquoted(word: str) -> str:
    if not _MARKS.search(word):
        return word
    if word[0] == "'" and word.find("'", 1) == len(word) - 1:
        return word[1:-1]

    def part(found: re.Match[str]) -> str:
        strong, weak, escaped, bare = found.groups()
        if weak is not None:
            return _IN_QUOTES.sub(r"\1", weak)
        return next(each for each in (strong, escaped, bare) if each is not None)

    return _PART.sub(part, word)


VALUED = frozenset(
    (
        *(
            "crt",
            "ca-file",
            "crl-file",
            "verify",
            "verifyhost",
            "sni",
            "alpn",
            "ciphers",
            "mode",
            "track",
            "level",
        ),
        *(
            "ssl-min-ver",
            "ssl-max-ver",
            "maxconn",
            "max-reuse",
            "weight",
            "id",
            "init-addr",
            "log-proto",
            "proto",
        ),
        *("pool-low-conn", "pool-max-conn", "pool-purge-delay", "resolve-prefer", "resolvers", "expose-fd"),
        *("check-alpn", "check-sni", "fall", "inter", "rise"),
    )
)
"""The options of addresses that meshctl writes with a value."""
FLAGS = frozenset(
    (
        *(
            "accept-proxy",
            "backup",
            "check",
            "no-ssl-reuse",
            "no-tls-tickets",
            "send-proxy-v2",
            "ssl",
            "v6only",
        ),
    )
)
"""Those without."""


def options(words: Iterable[str]) -> dict[str, str]:
    """What a `bind` or `server` line says, with the values of words that have one. The last one counts."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        found[word] = next(rest, "") if word in VALUED else ""
    return found


def address_of(word: str) -> str:
    """An address as the model prints it."""
    return word.removeprefix("ipv6@").removeprefix("ipv4@")
