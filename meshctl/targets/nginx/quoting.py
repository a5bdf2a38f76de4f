"""Text into NGINX's tokens: the only place where a Token is made.

One function per context. NGINX unquotes a token first (backslash and quote), then, in the places that
expand variables, reads ``$name``; regular expressions and Lua are a level of their own inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

from meshctl.ir import SocketAddress

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_HOSTNAME = re.compile(rf"(?:\*\.)?{_NAME.pattern}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_REGEX_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-'")
_REGEX_ESCAPED = frozenset(".~!$&()*+,;=:@%?|^{}[]<>#`")

_LUA_PLAIN = re.compile(rb"[A-Za-z0-9_.:@/ -]")
_LUA_BYTES = [
    bytes([byte]) if _LUA_PLAIN.fullmatch(bytes([byte])) else b"\\%03d" % byte for byte in range(256)
]
_LUA_PIECE = 500

LONGEST_TOKEN = 4000
"""Bytes; a parameter of about 4,090 is refused by NGINX 1.22."""

_MILLISECOND = timedelta(milliseconds=1)
LONGEST = timedelta(days=3650)
"""Stands for "no limit" where NGINX has no word for it."""


class Token(str):
    """A piece of the file, quoted for its place. Templates print nothing else."""

    __slots__ = ()


def _quoted(text: str) -> Token:
    if len(text.encode()) > LONGEST_TOKEN:
        raise ValueError(f"{len(text)} characters are too many for one parameter of NGINX")
    return Token('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


def _clean(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError(f"control character in {text!r}")
    return text


def _without_variables(text: str) -> str:
    return _clean(text).replace("$", "${dollar}")


def value(text: str) -> Token:
    """A parameter in which NGINX expands variables, so that nothing of ``text`` is one."""
    return _quoted(_without_variables(text))


def value_before(text: str, variable_name: str) -> Token:
    """``text`` and behind it what a variable holds."""
    return _quoted(f"{_without_variables(text)}${{{variable_name}}}")


def name(text: str) -> Token:
    """A host name, or the name of an upstream. ValueError for what NGINX could read as more than that."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"not a name to NGINX: {text!r}")
    return Token(text)


def hostname(text: str) -> Token:
    """A name of a server: a host name, or ``*.`` and one. ValueError for what NGINX could read as more."""
    if not _HOSTNAME.fullmatch(text):
        raise ValueError(f"not a host name to NGINX: {text!r}")
    return Token(text)


def file(path: str) -> Token:
    """A file on the host, in a place that expands variables or not: a dollar would differ between them."""
    if "$" in path:
        raise ValueError(f"a path that NGINX could take for a variable: {path!r}")
    return _quoted(_clean(path))


def variable(stem: str, number: int) -> Token:
    """A variable of our own. Numbered, because names of services do not fit and could collide."""
    return Token(f"${stem}_{number}")


def drawn(split: Token) -> Token:
    """The variable with the number that was drawn for ``split``."""
    return Token(f"{split}_draw")


def location(number: int) -> Token:
    """The named location of a destination."""
    return Token(f"@to_{number}")


def map_key(text: str) -> Token:
    """A literal key of a map. The backslash keeps it from being ``default``, ``include`` or a regex.

    NGINX compares such keys without case.
    """
    return _quoted("\\" + _clean(text))


def map_regex(expression: str) -> Token:
    """A regular expression as key of a map, made of constants and :func:`literal_regex`."""
    return _quoted_regex("~" + expression)


def _quoted_regex(expression: str) -> Token:
    # The parser leaves every backslash alone but those before a quote, a backslash, t, r or n.
    if len(expression) > LONGEST_TOKEN or '"' in expression or re.search(r"\\[\\trn]", expression):
        raise ValueError(f"regular expression that NGINX cannot carry: {expression!r}")
    return Token(f'"{expression}"')


def map_pattern(expression: str) -> Token:
    """The same with a regular expression of the user's in it, whatever backslashes and quotes that has."""
    return _quoted("~" + _clean(expression))


@lru_cache(maxsize=4096)
def literal_regex(text: str) -> str:
    """A piece of a regular expression that matches ``text`` only, with case."""
    return "".join(_regex_byte(byte) for byte in _clean(text).encode())


def _regex_byte(byte: int) -> str:
    character = chr(byte)
    if character in _REGEX_PLAIN:
        return character
    return f"\\{character}" if character in _REGEX_ESCAPED else f"\\x{byte:02X}"


def lua_string(text: str) -> Token:
    """A string of Lua; every byte that could end or change it is written as a number.

    In pieces, because NGINX reads a Lua block through a buffer of 4,096 bytes that a string must fit in.
    """
    return lua_text(_clean(text))


def lua_text(text: str) -> Token:
    """The same for text of several lines."""
    data = text.encode()
    starts = range(0, max(len(data), 1), _LUA_PIECE)
    pieces = (b"".join(_LUA_BYTES[byte] for byte in data[start : start + _LUA_PIECE]) for start in starts)
    return Token(" .. ".join(f'"{piece.decode()}"' for piece in pieces))


def lua_host(socket: SocketAddress) -> Token:
    """An address as a string of Lua, as sockets of NGINX take it."""
    return lua_string(f"[{socket.address}]" if ":" in socket.address else socket.address)


def lua_seconds(length: timedelta) -> Token:
    """A time as an expression of Lua; zero stays zero."""
    return Token(f"{-(-length // _MILLISECOND)} / 1000")


def lua_fraction(share: Fraction) -> Token:
    """A share as an expression of Lua."""
    return Token(f"{share.numerator} / {share.denominator}")


def json_object(fields: Mapping[str, str]) -> Token:
    """A JSON object of strings where NGINX expands variables."""
    return value(json.dumps(dict(fields), separators=(",", ":")))


def log_format(fields: Iterable[tuple[str, str]]) -> Token:
    """A JSON object as a log format. The values come from :func:`log_text` and :func:`log_variable`."""
    return _quoted("{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in fields) + "}")


def log_text(text: str) -> str:
    """A constant JSON string inside :func:`log_format`."""
    return json.dumps(_clean(text)).replace("$", "${dollar}")


def log_variable(variable_name: str) -> str:
    """A variable as a JSON string inside :func:`log_format`, which escapes what is in it."""
    return f'"${{{variable_name}}}"'


def log_number(variable_name: str) -> str:
    """A variable that always holds a JSON number, inside :func:`log_format`."""
    return f"${{{variable_name}}}"


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds, rounded up, at least 1; zero means no limit and becomes ``LONGEST``."""
    return -(-(duration or LONGEST) // _MILLISECOND)


def duration(length: timedelta) -> Token:
    """A time as NGINX reads it."""
    return Token(f"{milliseconds(length)}ms")


def whole_seconds(length: timedelta) -> Token:
    """A time where NGINX reads no milliseconds, rounded up."""
    return Token(f"{-(-length // timedelta(seconds=1))}s")


def address(socket: SocketAddress) -> Token:
    """An address and port to listen on or to connect to."""
    return Token(str(socket))


def percentage(hundredths: int) -> Token:
    """A share of ``split_clients``, from hundredths of a percent."""
    return Token(f"{hundredths // 100}.{hundredths % 100:02d}%")


def word(constant: str) -> Token:
    """A word that stands in this package's own code."""
    if not re.fullmatch(r"[A-Za-z0-9_@.*$:-]+(?: [a-z0-9_]+)*", constant):
        raise ValueError(f"not a constant: {constant!r}")
    return Token(constant)
