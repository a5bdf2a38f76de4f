"""Chance that comes from bytes, so that hypothesis, atheris and a file of a finding all drive the same fuzzers."""

from __future__ import annotations

import random


class Chance(random.Random):
    """Every draw takes from ``data``; behind its end the draws are always the same."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._rest = random.Random(0)
        super().__init__(0)

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        if len(piece) < size:
            return self._rest.getrandbits(k)
        return int.from_bytes(piece, "little") >> (size * 8 - k)

    def random(self) -> float:
        return self.getrandbits(16) / (1 << 16)

    def once_in(self, number: int) -> bool:
        """True for one draw of so many."""
        return self.randrange(number) == 0

    def rest(self, limit: int) -> bytes:
        """What has not been drawn from, at most so many bytes of it."""
        return self._data[self._at : self._at + limit]
