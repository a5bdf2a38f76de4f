"""What a request may order the echo application to do.

===================  =====================================================================
x-echo-id            the key under which hits are counted; without it every hit is the first
x-echo-status        ``503``, or one a hit: ``503,503,200`` (the last one stays)
x-echo-delay         ``200ms`` or ``1.5s`` before the answer; also one a hit
x-echo-close         ``before`` the answer, ``reset`` instead of it, ``after-head``, ``mid-body``,
                     ``no``; also one a hit
x-echo-body          the answer's body is this many bytes of ``x`` instead of the JSON document
x-echo-trickle       ``10/50ms``: that many bytes of the body each interval
x-echo-chunked       ``true``: the answer is chunked
x-echo-headers       more headers of the answer, as a JSON object or a list of pairs
x-echo-trailers      trailers of the answer, written likewise (HTTP/2 only)
x-echo-grpc-status   ``14``: the status that a gRPC client is told; also one a hit
x-echo-health        ``NOT_SERVING``: what gRPC's health service says
x-echo-only          ``v1``: only this instance obeys, the others answer 200 at once
===================  =====================================================================
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

from meshctl.live.http1 import Head, MalformedError

BODILESS = (204, 304)
"""Statuses of answers that have no body."""

_SECONDS = {"ms": 0.001, "s": 1.0}


class Close(StrEnum):
    """When a connection is cut instead of served."""

    NO = "no"
    BEFORE = "before"
    RESET = "reset"
    AFTER_HEAD = "after-head"
    MID_BODY = "mid-body"


class Trickle(Struct, frozen=True):
    """A body in pieces of ``size`` bytes, ``interval`` apart."""

    size: int
    interval: timedelta


class Orders(Struct, frozen=True):
    """What to do with one hit of one request. No ``body_size``: the JSON document."""

    status: int = 200
    delay: timedelta = timedelta()
    close: Close = Close.NO
    body_size: int | None = None
    trickle: Trickle | None = None
    chunked: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    grpc_status: int = 0
    serving: bool = True


def parse_duration(text: str) -> timedelta:
    """``200ms`` or ``1.5s``. Raises MalformedError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s)", text)
    if found is None:
        raise MalformedError(f"duration {text!r}")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def parse_orders(head: Head, instance: str, hit: int) -> Orders:
    """The orders for the ``hit``-th arrival (from 1) of a request. Raises MalformedError."""
    if head.get("x-echo-only", instance) != instance:
        return Orders()
    try:
        return Orders(
            status=int(_at(head.get("x-echo-status", "200"), hit)),
            delay=parse_duration(_at(head.get("x-echo-delay", "0s"), hit)),
            close=Close(_at(head.get("x-echo-close", "no"), hit)),
            body_size=int(size) if (size := head.get("x-echo-body")) else None,
            trickle=_trickle(head.get("x-echo-trickle")),
            chunked=head.get("x-echo-chunked") == "true",
            headers=_headers(head.get("x-echo-headers", "{}")),
            trailers=_headers(head.get("x-echo-trailers", "{}")),
            serving=head.get("x-echo-health") != "NOT_SERVING",
            grpc_status=int(_at(head.get("x-echo-grpc-status", "0"), hit)),
        )
    except ValueError as error:
        raise MalformedError(str(error)) from error


def _at(listed: str, hit: int) -> str:
    items = listed.split(",")
    return items[min(hit, len(items)) - 1].strip()


def _trickle(text: str) -> Trickle | None:
    if not text:
        return None
    size, _, interval = text.partition("/")
    return Trickle(int(size), parse_duration(interval))


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    written = json.loads(text)
    pairs = written.items() if isinstance(written, dict) else written
    return tuple((str(name), str(value)) for name, value in pairs)
