"""Text into HAProxy's words: the only place where a Token is made.

One function per context. Everything ends in :func:`word`, which is the outermost level of every
token; log formats and arguments have a level of their own inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from msgspec import Struct

from meshctl.ir import SocketAddress

_BARE = re.compile(r"[A-Za-z0-9_./:,=@+-]+")
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")

_ESCAPES = {"\n": "\\n", "\t": "\\t"}

_PATIENCE = "(*LIMIT_MATCH=100000)"
"""A user's expression gives up after some milliseconds; PCRE's own limit is seconds in which all requests wait."""

LONGEST = timedelta(days=24)
"""HAProxy counts milliseconds in 31 bits; anything over 24 days is an overflow to it."""

WORDS_PER_LINE = 40
"""A line of more than 64 words is refused; this leaves room for what stands before the data."""


class Sample(Struct, frozen=True):
    """An expression of HAProxy's that stands inside a format, made of constants only."""

    expression: str


class Token(str):
    """A word of the file, quoted for its place. Templates print nothing else."""

    __slots__ = ()


def word(text: str) -> Token:
    """One word, whatever is in it. ValueError for control characters, which no quoting can carry."""
    if _CONTROL.search(text):
        raise ValueError(f"control character in {text!r}")
    if _BARE.fullmatch(text):
        return Token(text)
    return Token("'" + text.replace("'", "'\\''") + "'")


def text(written: str) -> Token:
    """One word of several lines maybe: line feeds and tabs stand in it as escapes."""
    pieces = (_ESCAPES.get(piece) or word(piece) for piece in re.split(r"([\n\t])", written) if piece)
    return Token("".join(pieces) or "''")


def statement(*parts: Token | int) -> Token:
    """Words that are quoted already, side by side."""
    return Token(" ".join(str(part) for part in parts))


def words(texts: Iterable[str]) -> Token:
    """Several words with a blank between."""
    return Token(" ".join(word(text) for text in texts))


def word_lists(texts: tuple[str, ...]) -> tuple[Token, ...]:
    """The same in as many lines as HAProxy's limit of words asks for."""
    starts = range(0, len(texts), WORDS_PER_LINE)
    return tuple(words(texts[start : start + WORDS_PER_LINE]) for start in starts)


def name(text: str) -> Token:
    """A name of a section, server or condition. ValueError for what HAProxy would refuse there."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"not a name to HAProxy: {text!r}")
    return Token(text)


def string(text: str) -> Token:
    """A sample that is always ``text``."""
    return word(f"str({_argument(text)})")


def call(function: str, *arguments: str) -> Token:
    """The sample of a fetch, or of a converter behind another sample, with constant arguments."""
    return word(f"{function}({','.join(map(_argument, arguments))})")


def header_lines(header: str) -> Token:
    """The sample of every line of a request header, not split at commas."""
    return word(f"req.fhdr({_argument(header)})")


def first_header(header: str) -> Token:
    """The sample of the first line of a request header, whole."""
    return word(f"req.fhdr({_argument(header)},1)")


def cookie(name: str) -> Token:
    """The sample of a request's cookie."""
    return word(f"req.cook({_argument(name)})")


def format_of(*parts: str | Sample) -> Token:
    """Text and samples where HAProxy reads a log format; nothing of the text is a variable."""
    return word(
        "".join(
            f"%[{part.expression}]" if isinstance(part, Sample) else part.replace("%", "%%") for part in parts
        )
    )


def literal_format(text: str) -> Token:
    """Text where HAProxy reads a log format, so that nothing of it is a variable."""
    return format_of(text)


def log_format(fields: Mapping[str, str]) -> Token:
    """A JSON object as a log format; the values are formats already, the keys are plain."""
    return word("{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in fields.items()) + "}")


def format_string(text: str) -> str:
    """A constant JSON string inside :func:`log_format`."""
    return json.dumps(text).replace("%", "%%")


def json_object(fields: Mapping[str, str]) -> Token:
    """A JSON object where HAProxy reads plain text."""
    return word(json.dumps(dict(fields), separators=(",", ":")))


def literal_regex(text: str) -> str:
    """A piece of a regular expression that matches ``text`` only."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)


def whole_regex(expression: str) -> Token:
    """The user's expression, for the whole of a text."""
    return word(f"{_PATIENCE}^(?:{expression})$")


def unless_regex(sample: Token, expression: str) -> Token:
    """The sample, but empty where the expression surely does not match the whole of it."""
    surely_not = _argument(f"{_PATIENCE}^(?!(?:{expression})$).*$")
    return Token(sample + "," + word(f"regsub({surely_not},)"))


class Parameter(Struct, frozen=True):
    """The first parameter of a name in a query: an expression that finds it, and its value as a sample."""

    present: Token
    value: Token


def first_parameter(parameter: str) -> Parameter:
    """The first of that name between ``&``, byte for byte. Nothing behind it can fail, so that it stays the first."""
    search = f"^(?:.*?&)??{literal_regex(parameter)}(?=[=&]|$)"
    taken = _argument(search + "=?([^&]*).*$")
    return Parameter(word(search), word(f'query,regsub({taken},"\\\\1")'))


def regex(expression: str) -> Token:
    """A whole regular expression, made of constants and :func:`literal_regex`."""
    return word(expression)


def duration(value: timedelta) -> Token:
    """Milliseconds, at least one: to HAProxy nought is no limit."""
    milliseconds = -(-min(value, LONGEST) // timedelta(milliseconds=1))
    return Token(f"{max(milliseconds, 1)}ms")


def address(socket: SocketAddress) -> Token:
    """An address and port to listen on or to connect to."""
    return word(str(socket)) if ":" not in socket.address else Token(f"ipv6@{socket}")


def binds(sockets: Iterable[SocketAddress]) -> tuple[Token, ...]:
    """Addresses to listen on, IPv6 for itself alone."""
    return tuple(
        Token(f"{address(socket)} v6only") if ":" in socket.address else address(socket) for socket in sockets
    )


def _argument(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
