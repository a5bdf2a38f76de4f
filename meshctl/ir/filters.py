"""What a route changes on the way, or answers by itself. The words are Gateway API's."""

from __future__ import annotations

from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, FeatureUse, needs
from meshctl.ir.written import Written


class HeaderChanges(Written, frozen=True):
    """In this order: ``remove``, ``set`` (creates or replaces all lines), ``add`` (one more line).

    Names are lower case, and none stands in two of the three. Request headers are changed before the
    request goes to the callee; matching is over by then. Response headers are changed on the callee's
    answers and on the route's own redirect or response, never on what a sidecar answers by itself.
    """

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    asks: tuple[FeatureUse, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.set or self.add or self.remove)


class Rewrite(Written, frozen=True):
    """What the callee sees instead. Mirrors, retries and authorization see it too; the query stays.

    ``prefix`` takes the place of the route's matched prefix, with exactly one slash at the seam;
    ``path`` of the whole path. At most one of them is set. An empty ``hostname`` leaves the Host alone.
    """

    prefix: Annotated[str, needs(Feature.PATH_REWRITE)] = ""
    path: Annotated[str, needs(Feature.PATH_REWRITE)] = ""
    hostname: Annotated[str, needs(Feature.HOST_REWRITE)] = ""
    at: Position | None = None


class Redirect(Written, frozen=True):
    """The answer is ``status`` with a Location; nothing is asked of the callee.

    Location is ``scheme://hostname[:port]path[?query]``. An empty ``scheme`` is the one that the client
    used, an empty ``hostname`` the request's (without port). ``port`` 0: with a scheme written, that
    scheme's default; else the port that the client's Host names. A scheme's default port is not printed.
    ``prefix`` and ``path`` as in :class:`Rewrite`; the query stays.
    """

    status: Annotated[int, needs(Feature.REDIRECT)]
    scheme: str = ""
    hostname: str = ""
    port: int = 0
    prefix: str = ""
    path: str = ""
    at: Position | None = None


class DirectResponse(Written, frozen=True):
    """The answer is this; nothing is asked of the callee.

    The body is UTF-8 and sent as ``text/plain`` with a length; answers to HEAD have none.
    """

    status: Annotated[int, needs(Feature.DIRECT_RESPONSE)]
    body: str = ""
    at: Position | None = None
