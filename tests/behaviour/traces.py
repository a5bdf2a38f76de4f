"""Chains of parents, as access logs tell them."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.behaviour.log_lines import access_log
from tests.behaviour.world import World

LIMIT = 5.0
"""Seconds until a line has arrived; NGINX and Envoy write in batches."""

Line = dict[str, Any]


def lines_of(world: World, service: str, path: str, number: int) -> list[Line]:
    """The lines of a sidecar about this path, of which there should be so many, in the order of their ends."""
    deadline = time.monotonic() + LIMIT
    while True:
        written = (json.loads(line) for _, line in access_log(world.lines) if path in line)
        found = [each for each in written if (each["service"], each["path"]) == (service, path)]
        if len(found) >= number or time.monotonic() > deadline:
            assert len(found) == number, found
            return found
        time.sleep(0.05)


def seen(world: World, identifier: str, header: str) -> list[str]:
    """The values of a header that applications saw under this id, in order."""
    arrived = world.arrivals(identifier)["seen"]
    return [value for each in arrived for name, value in each["headers"] if name.lower() == header]
