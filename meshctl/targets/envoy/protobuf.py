"""How values are written in protobuf's JSON mapping, which is what Envoy reads."""

from __future__ import annotations

import string
from datetime import timedelta
from fractions import Fraction
from typing import Any

import orjson

from meshctl.ir import SocketAddress

Message = dict[str, Any]
"""One protobuf message as JSON: the field names of Envoy's API and nothing of ours."""

_MICROSECOND = timedelta(microseconds=1)
_REGEX_SAFE = frozenset(string.ascii_letters + string.digits + "-_/")


def typed(message: str, **fields: Any) -> Message:  # noqa: ANN401 - any field of any message
    """A ``google.protobuf.Any``: ``message`` is the name without ``envoy.`` or ``envoy.extensions.``."""
    package = "envoy" if message.startswith(("config.", "type.")) else "envoy.extensions"
    return {"@type": f"type.googleapis.com/{package}.{message}", **fields}


def line(message: Message) -> orjson.Fragment:
    """``message`` on a line of its own: diffs stay readable at a third of the bytes that indenting takes."""
    return orjson.Fragment(b"\n" + orjson.dumps(message))


def duration(value: timedelta) -> str:
    """``google.protobuf.Duration``: seconds with as many decimals as it takes, exactly."""
    seconds, microseconds = divmod(value // _MICROSECOND, 1_000_000)
    fraction = f".{microseconds:06d}".rstrip("0") if microseconds else ""
    return f"{seconds}{fraction}s"


def socket_address(socket: SocketAddress) -> Message:
    """``envoy.config.core.v3.Address`` of a TCP socket."""
    return {"socket_address": {"protocol": "TCP", "address": socket.address, "port_value": socket.port}}


def regex_literal(text: str) -> str:
    """``text`` as an RE2 regex that matches it and nothing else."""
    return "".join(char if char in _REGEX_SAFE else f"\\x{{{ord(char):x}}}" for char in text)


def format_literal(text: str) -> str:
    """``text`` inside a substitution format string, where a percent sign starts a command."""
    return text.replace("%", "%%")


def fraction(share: Fraction) -> Message:
    """``envoy.type.v3.FractionalPercent``, to the millionth."""
    return {"numerator": round(share * 1_000_000), "denominator": "MILLION"}
