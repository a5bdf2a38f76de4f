"""What reached the echo applications of one process."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from msgspec import Struct, field


class Journal(Struct):
    """What arrived, by ``x-echo-id``, on all instances of this process."""

    seen: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, identifier: str, document: dict[str, Any]) -> int:
        """Remember an arrival; the number of arrivals so far, at least 1."""
        if not identifier:
            return 1
        self.seen[identifier].append(document)
        return len(self.seen[identifier])
