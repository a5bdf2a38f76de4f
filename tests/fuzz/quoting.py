"""Any text through each way of quoting, and back by a reader of that language: the same text, or a refusal."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import crossplane
import re2

from meshctl.targets.envoy import matching, protobuf
from meshctl.targets.haproxy import quoting as haproxy
from meshctl.targets.nginx import quoting as nginx
from tests.fuzz.chance import Chance
from tests.fuzz.mutation import ODD
from tests.fuzz.readers import haproxy_words

SIGNS = "".join(map(chr, range(0x20, 0x7F))) + "\t\n\r\0\x7f\x85\u2028\u2029éß🦀\u202e"


def _one_word(token: str) -> str:
    (word,) = haproxy_words(token)
    return word


def _argument(word: str) -> str:
    """The one argument of ``name(…)``, as HAProxy's `make_arg_list` reads it."""
    inside = word.partition("(")[2]
    assert inside.endswith(")")
    found, quote, at = "", "", 0
    while at < len(inside) - 1:
        sign = inside[at]
        at += 1
        if sign == "\\" and quote != "'":
            found += inside[at]
            at += 1
        elif sign == quote or (not quote and sign in "'\""):
            quote = "" if quote else sign
        elif not quote and sign in ",)":
            raise ValueError(f"a second argument: {word!r}")
        else:
            found += sign
    assert not quote
    return found


def _directive(token: str) -> str:
    """The one parameter of an NGINX directive."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf", newline="") as file:
        file.write(f"a {token};")
        file.flush()
        words = [each[0] for each in crossplane.lex(file.name)]
    name, word, end = words
    assert (name, end) == ("a", ";")
    # crossplane unescapes the quote alone; `ngx_conf_read_token` these too.
    return re.sub(
        r"\\([\\tnr])", lambda found: {"t": "\t", "n": "\n", "r": "\r"}.get(found[1], found[1]), str(word)
    )


def _variables(text: str) -> str:
    """What NGINX expands it to: every variable in it must be the one that holds a dollar."""
    parts = text.split("${dollar}")
    assert not any("$" in each for each in parts), text
    return "$".join(parts)


def _lua(source: str) -> str:
    """The text of an expression of Lua's, made of strings alone."""
    found, at = bytearray(), 0
    while at < len(source):
        assert source[at] == '"', source
        at += 1
        while source[at] != '"':
            escape = re.match(r"\\(\d{3})", source[at:])
            assert escape or source[at] not in "\\\n", source
            found += bytes([int(escape[1])]) if escape else source[at].encode()
            at += 4 if escape else 1
        at += 1
        assert source[at : at + 4] in (" .. ", ""), source
        at += 4
    return found.decode()


def _regex(expression: str, text: str) -> str:
    """The text, where the expression matches it and nothing that is like it."""
    compiled = (re2 if "\\x{" in expression else re).compile(expression.encode())
    raw = text.encode()
    assert compiled.fullmatch(raw), (expression, text)
    for at in range(len(raw)):
        for other in (
            raw[:at] + raw[at + 1 :],
            raw[:at] + b"x" + raw[at:],
            raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :],
        ):
            assert other == raw or not compiled.fullmatch(other), (expression, other)
    return text


def _percents(text: str) -> str:
    """A format without a single variable in it."""
    assert not re.search("%", text.replace("%%", "")), text
    return text.replace("%%", "%")


LONGEST = 300
"""Characters, for what reads regular expressions is asked about each of them."""

WAYS: Mapping[str, Callable[[str], str]] = {
    "haproxy word": lambda text: _one_word(haproxy.word(text)),
    "haproxy text": lambda text: _one_word(haproxy.text(text)),
    "haproxy string": lambda text: _argument(_one_word(haproxy.string(text))),
    "haproxy format": lambda text: _percents(_one_word(haproxy.literal_format(text))),
    "haproxy log format": lambda text: json.loads(
        _percents(_one_word(haproxy.log_format({"a": haproxy.format_string(text)})))
    )["a"],
    "haproxy regex": lambda text: _regex(haproxy.literal_regex(text), text),
    "nginx value": lambda text: _variables(_directive(nginx.value(text))),
    "nginx file": lambda text: _directive(nginx.file(text)),
    "nginx map key": lambda text: _directive(nginx.map_key(text)).removeprefix("\\"),
    "nginx regex": lambda text: _regex(nginx.literal_regex(text), text),
    "nginx log format": lambda text: json.loads(
        _variables(_directive(nginx.log_format([("a", nginx.log_text(text))])))
    )["a"],
    "nginx lua": lambda text: _lua(nginx.lua_string(text)),
    "envoy format": lambda text: _percents(protobuf.format_literal(text)),
    "envoy regex": lambda text: _regex(protobuf.regex_literal(text), text),
    "envoy lua": lambda text: _lua(matching.lua_string(text)),
}
"""Each way of quoting, and back."""


def check(chance: Chance, folder: Path) -> None:
    """One text by every way that takes it."""
    pieces = (
        chance.choice(ODD) if chance.once_in(4) else chance.choice(SIGNS) for _ in range(chance.randrange(24))
    )
    text = "".join(pieces)[:LONGEST]
    for name in WAYS:
        check_one(name, text)


def check_one(name: str, text: str) -> None:
    """The text comes back, or it was refused by a ValueError of the quoting's own."""
    try:
        found = WAYS[name](text)
    except ValueError as error:
        if any("/targets/" in each for each in _files(error)):
            return
        raise
    assert found == text, (name, text, found)


def _files(error: BaseException) -> list[str]:
    found, frame = [], error.__traceback__
    while frame is not None:
        found.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    return found[-1:]
