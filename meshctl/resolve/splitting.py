"""Backends: names become clusters, weights their smallest whole ratio, and zero weights nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from math import gcd

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Source
from meshctl.spec.splitting import BackendSpec


def cluster_name(service: str, subset: str | None) -> str:
    """``service`` or ``service.subset``: unambiguous, for neither may hold a dot."""
    return f"{service}.{subset}" if subset else service


def reduced(weights: Iterable[int]) -> list[int]:
    """The weights divided by their greatest common divisor."""
    listed = list(weights)
    divisor = reduce(gcd, listed, 0) or 1
    return [weight // divisor for weight in listed]


def weighted_clusters(service: str, backends: Iterable[BackendSpec] | None) -> tuple[ir.WeightedCluster, ...]:
    """The shares of a route of ``service``; all of its endpoints where no backend is named."""
    if backends is None:
        return (ir.WeightedCluster(service, 1),)
    shares: dict[str, int] = {}
    for backend in backends:
        name = cluster_name(backend.service or service, backend.subset)
        weight = 1 if backend.weight is None else backend.weight
        shares[name] = shares.get(name, 0) + weight
    used = {name: weight for name, weight in shares.items() if weight}
    return tuple(map(ir.WeightedCluster, used, reduced(used.values())))


def check(backends: list[BackendSpec], source: Source) -> Iterator[Finding]:
    """Faults that one route's backends have by themselves."""
    seen: set[tuple[str | None, str | None]] = set()
    for index, backend in enumerate(backends):
        if (backend.service, backend.subset) in seen:
            yield finding(
                "repeated-item", source.at(index), "this backend is here twice: its weights are added"
            )
        seen.add((backend.service, backend.subset))
        if backend.subset is None and backend.service is None:
            yield finding(
                "missing-key", source.at(index), "this backend names neither a `subset` nor a `service`"
            )
    if all(backend.weight == 0 for backend in backends):
        yield finding("weights-all-zero", source.here, "every backend of this route has weight 0")
