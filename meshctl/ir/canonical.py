"""The gate: a request target is canonical, or it is refused before anything is matched.

``tests/vectors/paths.yaml`` is the definition; this, the simulator and all proxies are tested against it.
"""

from __future__ import annotations

import re
import string
from enum import StrEnum

_PRINTABLE = re.compile("[!-~]*")
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")


class Refusal(StrEnum):
    """Why a target is not canonical. Where several hold, the first in this order is given."""

    BYTE = "byte-outside-printable-ascii"
    FRAGMENT = "fragment"
    BACKSLASH = "backslash"
    BROKEN_ESCAPE = "broken-escape"
    ESCAPED_SLASH = "escaped-slash"
    ESCAPED_BACKSLASH = "escaped-backslash"
    ESCAPED_NUL = "escaped-nul"
    NEEDLESS_ESCAPE = "needless-escape"
    EMPTY_SEGMENT = "empty-segment"
    DOT_SEGMENT = "dot-segment"


_ESCAPES = {0x2F: Refusal.ESCAPED_SLASH, 0x5C: Refusal.ESCAPED_BACKSLASH, 0x00: Refusal.ESCAPED_NUL}


def refusal(target: str) -> Refusal | None:
    """Why a target in origin form is answered 400, or None. Each character stands for one byte."""
    if not _PRINTABLE.fullmatch(target):
        return Refusal.BYTE
    if "#" in target:
        return Refusal.FRAGMENT
    path = target.partition("?")[0]
    if "\\" in path:
        return Refusal.BACKSLASH
    return _escape(path) or _segment(path)


def _escape(path: str) -> Refusal | None:
    if "%" not in path:
        return None
    found = set()
    for rest in path.split("%")[1:]:
        digits = rest[:2]
        if len(digits) < 2 or not set(digits) <= set(string.hexdigits):
            found.add(Refusal.BROKEN_ESCAPE)
            continue
        code = int(digits, 16)
        if code in _ESCAPES:
            found.add(_ESCAPES[code])
        elif chr(code) in _UNRESERVED:
            found.add(Refusal.NEEDLESS_ESCAPE)
    return next((each for each in Refusal if each in found), None)


def _segment(path: str) -> Refusal | None:
    segments = path.split("/")[1:]
    if "" in segments[:-1]:
        return Refusal.EMPTY_SEGMENT
    if any(segment.partition(";")[0] in (".", "..") for segment in segments):
        return Refusal.DOT_SEGMENT
    return None
