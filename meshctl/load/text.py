"""Bytes to text that shows what it holds: strict UTF-8 without control, bidirectional or hidden marks."""

from __future__ import annotations

import re

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.load import limits

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLAIN = bytes([*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0x100)])
# C0 and C1 controls, the marks that turn or break a displayed line (UAX 9, and U+2028 and U+2029), the byte
# order mark, and what libyaml does not take for characters.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_SECRETS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-1")
"""Marks of PEM, whatever kind of key it is, and of age. Asked first: nothing that is said may show what is around them."""

_LONGEST_ECHO = 60
_NAMES = {0: "NUL", 0x1B: "ESC", 0x7F: "DEL", 0xFEFF: "a byte order mark"}


def decode(content: bytes, file: str) -> str | Finding:
    """The text of ``content``, or what is wrong with it. A byte order mark at the very start is dropped."""
    for mark in _SECRETS:
        if mark in content:
            begin = content.index(mark)
            line = content.rfind(b"\n", 0, begin) + 1
            begins = content.rfind(b"-----BEGIN", line, begin)
            before = content[: begin if begins < 0 else begins].decode("utf-8", "replace")
            return finding("secret-in-spec", _end_of(before, file), "a private key is in this file")
    if len(content) > limits.FILE_BYTES:
        return too_large(file)
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return finding("unreadable-file", Position(file, 1, 1), "the file is UTF-16, not UTF-8")
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        return finding("unreadable-file", _end_of(before, file), message)
    if content.translate(None, _PLAIN) or not text.isascii():
        unshown = unshown_in(text)
        if unshown:
            at = _end_of(text[: unshown.start()], file)
            return finding("hidden-character", at, f"{name_of(unshown[0])} has no place in a spec")
    if text.count("\r") != text.count("\r\n"):
        alone = re.search(r"\r(?!\n)", text)
        at = _end_of(text[: alone.start()] if alone else text, file)
        return finding("hidden-character", at, "a carriage return stands without a line feed")
    return text


def unshown_in(text: str) -> re.Match[str] | None:
    """The first character of ``text`` that a terminal or an editor would hide, or act upon."""
    return _UNSHOWN.search(text)


def name_of(character: str) -> str:
    """What to call a character that cannot be shown."""
    code = ord(character)
    return f"{_NAMES.get(code, 'the character')} (U+{code:04X})"


def brief(written: str) -> str:
    """``written`` cut to a length, and to characters, that a message may hold; nothing of PEM, which may be a key."""
    if "-----BEGIN" in written:
        return "a PEM block, not shown"
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in written[:_LONGEST_ECHO])
    return text + "…" if len(written) > _LONGEST_ECHO else text


def too_large(file: str, most: int = limits.FILE_BYTES) -> Finding:
    """The finding for a file over the bound on size, in bytes."""
    bound = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
    return finding("too-large", Position(file, 1, 1), f"the file is larger than {bound}")


def _end_of(before: str, file: str) -> Position:
    return Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
