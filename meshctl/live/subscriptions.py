"""What an Envoy that subscribes to files has taken of them, by its own word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from meshctl.inspection import beginning
from meshctl.live.builds import ask_socket

_QUESTION = (
    b"GET /stats?filter=^(cluster_manager.cds|listener_manager.lds).(version_text|update_rejected|update_failure)$"
    b" HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
)
_VERSION = re.compile(
    r'^(?:cluster_manager\.(cds)|listener_manager\.(lds))\.version_text: "([^"]*)"\s*$', re.MULTILINE
)
_REFUSED = re.compile(r"^\S+\.update_(?:rejected|failure): (\d+)\s*$", re.MULTILINE)
_WRITTEN = re.compile(rb'"version_info": "([^"]*)"')


class Subscriptions(Struct, frozen=True):
    """``versions`` by file, each the last that was taken whole; ``refused`` counts updates since the start."""

    versions: Mapping[str, str]
    refused: int


def taken(socket: Path) -> Subscriptions | None:
    """What Envoy says on its own admin interface at ``socket``; None where it cannot be asked."""
    answer = ask_socket(socket, _QUESTION)
    if answer is None or not answer.startswith(b"HTTP/1.1 200 "):
        return None
    text = answer.decode("utf-8", "replace")
    versions = {f"{found[1] or found[2]}.json": found[3] for found in _VERSION.finditer(text)}
    return Subscriptions(versions, sum(int(each) for each in _REFUSED.findall(text)))


def written(file: Path) -> str:
    """The version that a file of Envoy's says of itself, empty where it says none. Raises OSError."""
    found = _WRITTEN.search(beginning(file, 400))
    return found[1].decode("utf-8", "replace") if found else ""
