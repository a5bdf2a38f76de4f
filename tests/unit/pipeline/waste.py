"""Settings that do nothing, put where they may stand in a random spec."""

from __future__ import annotations

import random
from typing import Any

Node = dict[str, Any]
_WAIVED = ("zone-loss", "dead-route", "missing-timeout", "route-to-empty-pool", "thin-pool")


def wasted(spec: Node, chance: random.Random) -> None:
    """Add to ``spec`` what lint finds to be waste, and some of what only looks so."""
    if chance.random() < 0.5:
        spec["mesh"]["mtls"] = {"mode": "strict", "until": "2027-01-01"}
    for service in spec["services"].values():
        if chance.random() < 0.4:
            service["waive"] = [_waiver(each) for each in chance.sample(_WAIVED, chance.randint(1, 3))]
        if chance.random() < 0.4:
            service["retries"] = {"attempts": "0"} | _some(
                chance,
                {"retryOn": ["5xx", "connect-failure"], "backoff": {"base": "1s"}, "nonIdempotent": "true"},
            )
        if chance.random() < 0.3:
            service["circuitBreaker"] = {"maxRetries": "3"} | _some(chance, {"maxRequests": "10"})
        for route in service.get("routes", ()):
            _waste_of_route(route, chance)
        service |= {key: service.pop(key) for key in chance.sample(list(service), len(service))}


def _waste_of_route(route: Node, chance: random.Random) -> None:
    if chance.random() < 0.3:
        route["timeout"] = "5s"
    if chance.random() < 0.2:
        route["waive"] = [_waiver("dead-route")]
    if chance.random() < 0.3 and "redirect" not in route and "respond" not in route:
        route["fault"] = {"delay": {"duration": "1s", "percent": "0%"}}
    for match in route.get("matches", ()):
        if chance.random() < 0.4 and match.get("methods"):
            match["methods"] = [*match["methods"], match["methods"][0]]


def _waiver(slug: str) -> Node:
    return {"finding": slug, "reason": "it's so", "owner": "team", "until": "2026-12-31"}


def _some(chance: random.Random, settings: Node) -> Node:
    return {key: value for key, value in settings.items() if chance.random() < 0.6}
