"""The gate: a request target is canonical, or the answer is 400 before anything is matched.

Said as what is let in, so that a byte forgotten here is refused. Repeats are possessive: no target,
however long, makes the expression go back.
"""

from __future__ import annotations

from functools import cache

from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.quoting import Token

_PLAIN = r"[!\x22$&-.0->@-\[\]-~]"
"""Bytes of a segment that stand for themselves: ``!`` to ``~`` without ``# % / ? \\``."""

_ESCAPE = "%(?!00|2[dDeEfF]|3[0-9]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aAeE])[0-9A-Fa-f]{2}"
"""An escape that is whole, needed, and stands neither for ``/`` nor ``\\`` nor NUL."""

_SEGMENT = rf"(?!\.{{1,2}}[/;? ])(?:{_PLAIN}++|{_ESCAPE})++"
_QUERY = r"\?[!\x22$-~]*+"

_TARGET = rf"(?=/)(?<canonical_path>(?:/{_SEGMENT})*+/?)(?:{_QUERY})?"
"""The path is captured for the access log."""
_PROXIED = "(?:[a-zA-Z]++://[^ /?#]*+)?"
"""What stands before the target where the application takes its sidecar for an HTTP proxy."""
_WITHOUT_PATH = "[a-zA-Z]++:/(?<canonical_path>/)[^ /?#]++"
"""The same without a path, which is then ``/``; NGINX too takes the second slash of the scheme for it."""

CANONICAL_REQUEST = rf"^[^ ]++ (?|{_PROXIED}{_TARGET}|{_WITHOUT_PATH}) HTTP/[0-9.]++\z"


@cache
def canonical_request() -> Token:
    """The key of the map over ``$request``, the line as it came: NGINX drops blanks behind the target."""
    return quoting.map_regex(CANONICAL_REQUEST)
