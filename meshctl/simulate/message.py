"""A request as it stands on the wire at one place of its way."""

from __future__ import annotations

from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir.mesh import UNTRUSTED_HEADERS

_HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-connection", "te", "upgrade"))


class Request(Struct, frozen=True):
    """What somebody sends. Header lines in order, ``Host`` among them."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """The lines of a header, its name in lower case."""
        return [value for each, value in self.headers if each.lower() == name]

    @property
    def path(self) -> str:
        """The target without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the first ``?``."""
        return self.target.partition("?")[2]

    def with_header(self, name: str, value: str) -> Self:
        """The same with one line of that name and no other."""
        kept = tuple(each for each in self.headers if each[0].lower() != name.lower())
        return replace(self, headers=((name, value), *kept))

    def in_origin_form(self) -> Self:
        """A target in absolute form is taken apart: its authority is the Host."""
        scheme, separator, rest = self.target.partition("://")
        if scheme.lower() not in ("http", "https") or not separator:
            return self
        end = min((index for index in map(rest.find, "/?#") if index >= 0), default=len(rest))
        path = rest[end:] if rest[end:].startswith("/") else f"/{rest[end:]}"
        return replace(self.with_header("Host", rest[:end]), target=path)

    @property
    def changes_to_websocket(self) -> bool:
        """Whether its connection is to become a WebSocket."""
        named = {name.strip().lower() for value in self.values("connection") for name in value.split(",")}
        return "upgrade" in named and [each.lower() for each in self.values("upgrade")] == ["websocket"]

    def next_hop(self, *, upgrade: bool = False) -> Self:
        """The same without the headers that end at each hop; with ``upgrade`` but for those of a WebSocket."""
        named = {name.strip().lower() for value in self.values("connection") for name in value.split(",")}
        ending = _HOP_BY_HOP | named - {"host", "close", ""}
        kept = tuple(each for each in self.headers if each[0].lower() not in ending)
        if upgrade and self.changes_to_websocket:
            kept = (*kept, ("connection", "upgrade"), ("upgrade", "websocket"))
        return replace(self, headers=kept)

    def without_claims(self) -> Self:
        """The same without what only a callee's sidecar may say, in any spelling that maps to it."""
        kept = tuple(
            each
            for each in self.headers
            if each[0].lower().replace("_", "-").replace(".", "-") not in UNTRUSTED_HEADERS
        )
        return replace(self, headers=kept)
