"""What every part of the model is that somebody wrote somewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec import Struct

_BESIDE = frozenset({"at", "asks"})
"""Fields that say where a part was written and what it asks of a target, not what it means."""


class Written(Struct, frozen=True):
    """A part of the model whose meaning is the same wherever it was written: ``at`` and ``asks`` do not count."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        meaning = _meaning(type(self))
        return bool(meaning(self) == meaning(other))

    def __hash__(self) -> int:
        return hash(_meaning(type(self))(self))


@cache
def _meaning(kind: type[Struct]) -> Callable[[Struct], Any]:
    names = [name for name in kind.__struct_fields__ if name not in _BESIDE]
    return attrgetter(*names) if names else lambda _: ()
