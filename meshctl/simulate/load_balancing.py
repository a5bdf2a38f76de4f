"""Which endpoint of a cluster a request goes to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from meshctl.ir import Cluster, Endpoint, HashKey, LoadBalancing, duration_text
from meshctl.simulate.steps import Step, Topic

_SHOWN = 4
"""Endpoints of one level that are named."""


def told(cluster: Cluster) -> Iterator[Step]:
    """The policy, and the endpoints by level."""
    if not cluster.endpoints and cluster.dns is None:
        yield Step(Topic.ENDPOINT, "there is none: 503", from_spec=False)
        return
    yield Step(Topic.ENDPOINT, _policy(cluster.load_balancing), cluster.load_balancing.at)
    path = ("services" if cluster.identity else "externals", cluster.name.partition(".")[0])
    if cluster.dns is not None:
        asked = f"again every {duration_text(cluster.dns.refresh)}"
        name = f"`{cluster.dns.name}`" if cluster.dns.name else "the request's own host"
        yield Step(Topic.ENDPOINT, f"the addresses of {name}, asked {asked}", path=path)
        return
    levels = [list(each) for _, each in groupby(cluster.endpoints, lambda each: each.priority)]
    for number, level in enumerate(levels):
        first = f"level {number + 1} of {len(levels)}: " if len(levels) > 1 else ""
        yield Step(Topic.ENDPOINT, f"{first}{_listed(level)}", path=(*path, "endpoints"))


def _policy(policy: LoadBalancing) -> str:
    if policy.hash_on is None:
        return f"by {policy.policy}"
    key = policy.hash_on
    what = "the client's address" if key.key is HashKey.SOURCE_ADDRESS else f"{key.key} `{key.name}`"
    return f"by {policy.policy} on {what}"


def _listed(endpoints: list[Endpoint]) -> str:
    even = len({each.weight for each in endpoints}) == 1
    shown = [f"{each.socket}{'' if even else f' (weight {each.weight})'}" for each in endpoints[:_SHOWN]]
    more = len(endpoints) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
