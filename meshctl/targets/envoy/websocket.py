"""WebSocket, the only protocol that a connection may be changed to."""

from __future__ import annotations

from meshctl.targets.envoy.protobuf import Message

_TYPE = "websocket"


def accepted() -> Message:
    """Field of a HttpConnectionManager. What is not named is refused: 403."""
    return {"upgrade_configs": [{"upgrade_type": _TYPE}]}


def refused() -> Message:
    """Field of a RouteAction, where the callee speaks HTTP/2: Envoy would make an extended CONNECT of it."""
    return {"upgrade_configs": [{"upgrade_type": _TYPE, "enabled": False}]}


def asked_for() -> Message:
    """``HeaderMatcher``."""
    return {"name": "upgrade", "string_match": {"exact": _TYPE, "ignore_case": True}}
