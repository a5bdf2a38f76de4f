"""Blocks of PEM (RFC 7468) in what somebody sent.

Edges are looked for, not blocks: where an end is missing, a pattern for a whole block reads all that follows, once for each
beginning, and a file of beginnings alone takes minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_EDGE = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----\n?")


def blocks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, text with both its edges and the end of its line) of each; a beginning without its own end is none."""
    begun: re.Match[bytes] | None = None
    for edge in _EDGE.finditer(content):
        if edge[1] == b"BEGIN":
            begun = edge
            continue
        if begun is not None and begun[2] == edge[2]:
            yield edge[2], content[begun.start() : edge.end()]
        begun = None
