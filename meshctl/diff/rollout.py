"""The order in which the two sides of a call that comes or goes are deployed, so that no request is lost between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from meshctl import ir
from meshctl.diff.mtls import listed

_Calls = Collection[tuple[str, str]]
_NAMED = 12


def rollout(before: ir.Mesh, after: ir.Mesh) -> Iterator[str]:
    """Steps in words; each names the callee and its callers, and there is none where any order will do.

    A callee's sidecar lets a new caller in when it has its new build, and a former one until then. What both meshes
    have of a call is :mod:`meshctl.diff.ordering`'s.
    """
    old, new = ({each.service for each in mesh.sidecars} for mesh in (before, after))
    was, now = set(before.calls), set(after.calls)
    rules, newer = _rules(before), _rules(after)
    for callee, callers in _by_callee(now - was):
        if callee not in old:
            yield f"start `{callee}` before {_some(callers)}, which nobody answers until then"
        elif rules[callee] != newer[callee]:
            yield f"deploy `{callee}` before {_some(callers)}, which it refuses until then"
    for callee, callers in _by_callee(was - now):
        staying = [each for each in callers if each in new]
        if staying and callee not in new:
            yield f"deploy {_some(staying)} before `{callee}` is stopped"
        elif staying and rules[callee] != newer[callee]:
            yield f"deploy {_some(staying)} before `{callee}`, which refuses {_them(staying)} from then on"
    yield from _endpoints(before, after)


def _endpoints(before: ir.Mesh, after: ir.Mesh) -> Iterator[str]:
    """Endpoints that go while their service stays."""
    old, new = _sockets(before), _sockets(after)
    for callee in sorted(old.keys() & new.keys()):
        was, now = old[callee], new[callee]
        gone, came = was - now, now - was
        hosts = {each.address for each in was & now} | {each.address for each in came}
        stopped = sorted(str(each) for each in gone if each.address not in hosts)
        callers = sorted(caller for caller, called in after.calls if called == callee) if stopped else []
        if callers:
            yield f"deploy {_some(callers)} before {_some(stopped)} of `{callee}` is stopped"


def _sockets(mesh: ir.Mesh) -> dict[str, set[ir.SocketAddress]]:
    found: dict[str, set[ir.SocketAddress]] = {}
    seen: set[int] = set()
    for sidecar in mesh.sidecars:
        for cluster in sidecar.clusters:
            if cluster.identity is not None and id(cluster) not in seen:
                seen.add(id(cluster))
                its = found.setdefault(cluster.identity.service, set())
                its.update(each.socket for each in cluster.endpoints)
    return found


def _by_callee(calls: _Calls) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for caller, callee in sorted(calls):
        found.setdefault(callee, []).append(caller)
    yield from sorted(found.items())


def _rules(mesh: ir.Mesh) -> dict[str, ir.Authorization | None]:
    return {
        each.service: each.inbound.authorization if each.inbound is not None else None
        for each in mesh.sidecars
    }


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{listed(names[:_NAMED])}{more}"


def _them(callers: Sequence[str]) -> str:
    return "it" if len(callers) == 1 else "them"
