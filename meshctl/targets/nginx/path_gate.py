"""The gate: a request target is canonical, or the answer is 400 before anything is matched.

Said as what is let in, so that a byte forgotten here is refused. Repeats are possessive: no target,
however long, makes the expression go back.
"""

from __future__ import annotations

from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.quoting import Token

_PLAIN = r"[!\x22$&-.0->@-\[\]-~]"
"""Bytes of a segment that stand for themselves: ``!`` to ``~`` without ``# % / ? \\``."""

_ESCAPE = "%(?!00|2[dDeEfF]|3[0-9]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aAeE])[0-9A-Fa-f]{2}"
"""An escape that is whole, needed, and stands neither for ``/`` nor ``\\`` nor NUL."""

_SEGMENT = rf"(?!\.{{1,2}}(?:[/;?]|\z))(?:{_PLAIN}++|{_ESCAPE})++"
_QUERY = r"\?[!\x22$-~]*+"

CANONICAL_TARGET = rf"^(?=/)(?:/{_SEGMENT})*+/?(?:{_QUERY})?\z"


def canonical_target() -> Token:
    """The key of the map over ``$request_uri`` that knows canonical targets."""
    return quoting.map_regex(CANONICAL_TARGET)
