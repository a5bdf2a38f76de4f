"""Copies of requests: Lua sends them to a listener of our own, from where they go as any request does."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from meshctl import ir
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Copy

SCRIPT = "mirrors.lua"


def of_copies(route: ir.Route) -> ir.Route:
    """What holds for a copy: the route's time and nothing else, for it is made once."""
    return structs.replace(
        route,
        retries=ir.RetryPolicy(0, (), route.retries.idempotent_methods),
        body_timeout=ir.BodyTimeout(),
        response_headers=ir.HeaderChanges(),
        mirrors=(),
        fault=None,
    )


def copy(mirror: ir.Mirror, backend: Token, socket: Token, patience: timedelta) -> Copy:
    """To ``backend``, whose answer is waited for while it is not silent for longer than ``patience``."""
    share = mirror.share
    draw = None if share == 1 else Token(f"{{ rand({share.denominator}) lt {share.numerator} }}")
    return Copy(backend, socket, patience // timedelta(seconds=1) + 2, draw)
