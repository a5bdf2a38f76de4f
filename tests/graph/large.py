"""A mesh of some size, as companies have them: teams with services of their own, and a platform that all of them call."""

from __future__ import annotations

import random
from collections.abc import Iterator

_AREAS = (
    "accounts", "ads", "analytics", "billing", "booking", "cart", "catalog", "chat", "content", "delivery", "devices",
    "fraud", "games", "identity", "inventory", "loyalty", "mail", "maps", "media", "orders", "payments", "pricing",
    "search", "support", "wallet",
)  # fmt: skip
_ROLES = (
    "api", "web", "worker", "store", "index", "cache", "events", "rules", "export", "sync", "audit", "quotes", "feed",
    "jobs", "limits", "history", "policy", "reports", "profile", "alerts",
)  # fmt: skip
_HEAD = """\
apiVersion: meshctl.dev/v1
mesh: {name: company, domain: company.mesh, trustDomain: company.example}
defaults: {timeout: 2s}
gateways:
  edge: {owner: identity, port: 8080, endpoints: [{address: 10.200.0.1, zone: eu-1a}], calls: {CALLS}, routes: [ROUTES]}
externals:
  cards: {hosts: [api.cards.example], port: 443, tls: {}, endpoints: [{address: 10.201.0.1}]}
  post: {hosts: [post.example], port: 80, endpoints: [{address: 10.201.0.2}]}
services:
"""


def mesh(services: int) -> str:
    """The spec, the same for the same number."""
    draw = random.Random(services)
    each = max(1, min(len(_ROLES), services // min(len(_AREAS), max(1, services // 4))))
    names = [(area, role) for area in _AREAS for role in _ROLES[:each]][:services]
    entries = [f"{area}-{role}" for area, role in names if role == "api"][:8]
    head = _HEAD.replace("CALLS", ", ".join(f"{name}: {{}}" for name in entries))
    routes = (
        f"{{name: to-{name}, matches: [{{path: {{prefix: /{name}}}}}], backends: [{{service: {name}}}]}}"
        for name in entries
    )
    return head.replace("ROUTES", ", ".join(routes)) + "".join(_services(draw, names))


def _services(draw: random.Random, names: list[tuple[str, str]]) -> Iterator[str]:
    known = {f"{area}-{role}" for area, role in names}
    areas = sorted({area for area, _ in names})
    for number, (area, role) in enumerate(names):
        nth = _ROLES.index(role)
        own = [f"{area}-{each}" for each in _ROLES[nth + 1 :] if draw.random() < 1.6 / (nth + 2)]
        if role in ("api", "worker"):
            own += [f"{other}-api" for other in areas[areas.index(area) + 1 :] if draw.random() < 0.12]
        if role == "api" and area != "identity" and draw.random() < 0.5:
            own.append("identity-profile")
        calls = {name: "{}" for name in own if name in known and name != f"{area}-{role}"}
        if (area, role) in (("payments", "api"), ("wallet", "worker")):
            calls["cards"] = "{}"
        if (area, role) == ("mail", "worker"):
            calls["post"] = "{}"
        host = f"10.{number >> 8}.{number & 255}"
        canary = role == "api" and draw.random() < 0.4
        yield (
            f"  {area}-{role}:\n    owner: {area}\n    labels: {{tier: {'edge' if nth < 2 else 'core' if nth < 9 else 'data'}}}\n"
            f"    proxy: {('envoy', 'haproxy', 'nginx')[areas.index(area) % 3]}\n    port: 8080\n    endpoints:\n"
            f"      - {{address: {host}.1, zone: eu-1a{', subset: v1' if canary else ''}}}\n"
            f"      - {{address: {host}.2, zone: eu-1b{', subset: v2' if canary else ''}}}\n"
        )
        if calls:
            yield f"    calls: {{{', '.join(f'{name}: {said}' for name, said in calls.items())}}}\n"
        if canary:
            yield "    routes: [{name: all, backends: [{subset: v1, weight: 95}, {subset: v2, weight: 5}]}]\n"
