"""What the echo applications have been told to do until further notice, and which of them are closed.

For whoever sends no orders of his own, such as a health check: ``/__echo/orders?instance=catalog/v1&path=/healthz&status=503``
on the control address makes that instance answer 503 there until ``/__echo/orders?instance=catalog/v1&path=/healthz``
takes it back; without a path it is about all of them. ``/__echo/close?instance=catalog/v1`` ends its connections and refuses
new ones, ``/__echo/open?instance=catalog/v1`` undoes that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.live.http1 import Head

Listen = Callable[[], Awaitable[asyncio.Server]]


class StandingOrders(Struct):
    """By instance (``service/instance``) and path, or for all its paths where that is empty."""

    _orders: dict[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def give(self, instance: str, path: str, orders: Mapping[str, str]) -> None:
        """In the place of those before; none takes them back."""
        self._orders[instance, path] = tuple((f"x-echo-{name}", value) for name, value in orders.items())

    def added_to(self, head: Head, instance: str) -> Head:
        """The head with the standing orders behind its own, which hold first."""
        path = head.target.partition("?")[0]
        found = self._orders.get((instance, path)) or self._orders.get((instance, ""), ())
        return replace(head, headers=(*head.headers, *found)) if found else head


class Door(Struct):
    """One application's address, which can be closed and opened again."""

    listen: Listen
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def open(self) -> None:
        """Raises OSError when the address cannot be had."""
        if self._server is None:
            self._server = await self.listen()

    def enter(self, writer: asyncio.StreamWriter) -> None:
        """A connection that :meth:`close` shall end."""
        self._writers.add(writer)

    def leave(self, writer: asyncio.StreamWriter) -> None:
        """It has ended by itself."""
        self._writers.discard(writer)

    def close(self) -> None:
        """Refuse who knocks, and break off what is under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
