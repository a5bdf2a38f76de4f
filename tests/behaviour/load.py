"""Requests without a pause, as an application's, while something is done to its sidecar."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Self

from meshctl import ir

PAUSE_SECONDS = 0.01
"""Between two requests of a caller."""


@dataclass
class Load:
    """Requests without a pause on new connections and on kept ones, each answered by the application."""

    web: ir.SocketAddress
    fresh: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        callers: tuple[Callable[[], None], ...] = (self._anew, self._anew, self._keeping, self._seldom)
        self._threads = [threading.Thread(target=each, daemon=True) for each in callers]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join(20)

    def _anew(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            try:
                with closing(connection(self.web)) as fresh:
                    self.fresh[asked(fresh)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.fresh[type(error).__name__] += 1

    def _keeping(self, pause: float = PAUSE_SECONDS) -> None:
        kept = connection(self.web)
        while not self._over.wait(pause):
            try:
                self.kept[asked(kept)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.kept[type(error).__name__] += 1
                kept.close()
        kept.close()

    def _seldom(self) -> None:
        self._keeping(0.3)


def connection(where: ir.SocketAddress) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(where.address, where.port, timeout=15)


def asked(connected: http.client.HTTPConnection, target: str = "/") -> str:
    """The status; a connection that the other side ends politely is opened again with the next request."""
    connected.request("GET", target, headers={"Host": "catalog"})
    response = connected.getresponse()
    response.read()
    return str(response.status)


def told(where: ir.SocketAddress) -> str:
    with closing(connection(where)) as connected:
        connected.request("GET", "/told", headers={"Host": "catalog"})
        return connected.getresponse().read().decode()
