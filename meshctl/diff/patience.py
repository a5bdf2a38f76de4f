"""What follows from a change of timeouts: who gives up on a callee that has not given up itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from meshctl import ir
from meshctl.diff.change import Consequence, Effect
from meshctl.ir import duration_text

_NO_LIMIT = timedelta.max
_Call = tuple[str, str]


def patience(before: ir.Mesh, after: ir.Mesh) -> Iterator[Consequence]:
    """Callers that wait for less long than their callees do, now or no more; only calls that both meshes have."""
    old, new = _waits(before), _waits(after)
    both = old.keys() & new.keys()
    if all(old[each] == new[each] for each in both):
        return
    was, now = _inverted(old, both), _inverted(new, both)
    for key in sorted(now.keys() - was.keys()):
        found = now[key]
        text = (
            f"{found.words}, now less than the {_text(found.callee_waits)} that `{found.callee}` waits "
            f"for `{found.beyond}`"
        )
        yield Consequence(Effect.GIVES_UP_FIRST, (found.caller, found.callee, found.beyond), text)
    for key in sorted(was.keys() - now.keys()):
        gone = was[key]
        if gone.route in new[gone.caller, gone.callee] or not new[gone.caller, gone.callee]:
            text = (
                f"`{gone.caller}` no longer gives up on `{gone.callee}` before `{gone.callee}` does on "
                f"`{gone.beyond}`"
            )
            yield Consequence(Effect.WAITS_LONG_ENOUGH, (gone.caller, gone.callee, gone.beyond), text)


@dataclass(frozen=True, slots=True)
class _Inversion:
    caller: str
    callee: str
    beyond: str
    route: str
    waits: timedelta
    callee_waits: timedelta
    alone: bool
    """Whether all routes to the callee are like this one."""

    @property
    def words(self) -> str:
        by = "" if self.alone else f" (route `{self.route}`)"
        return f"`{self.caller}` waits {_text(self.waits)} for `{self.callee}`{by}"


_Key = tuple[str, str, str, str]


def _inverted(
    waits: Mapping[_Call, Mapping[str, timedelta]], calls: Iterable[_Call]
) -> dict[_Key, _Inversion]:
    """One for each caller, callee and third; routes by name only where they differ."""
    known = sorted(calls)
    beyond: dict[str, list[tuple[str, timedelta]]] = {}
    for caller, callee in known:
        beyond.setdefault(caller, []).append((callee, max(waits[caller, callee].values())))
    found: dict[_Key, _Inversion] = {}
    for caller, callee in known:
        routes = waits[caller, callee]
        alone = len(set(routes.values())) == 1
        for third, longest in beyond.get(callee, ()):
            for route, limit in routes.items():
                if limit < longest:
                    name = "" if alone else route
                    found[caller, callee, third, name] = _Inversion(
                        caller, callee, third, route, limit, longest, alone
                    )
    return found


def _waits(mesh: ir.Mesh) -> dict[_Call, dict[str, timedelta]]:
    """How long each caller waits for each callee of the mesh or outside, by route."""
    found: dict[_Call, dict[str, timedelta]] = {}
    of_host: dict[int, list[tuple[str, str, timedelta]]] = {}
    for sidecar in {each.service: each for each in reversed(mesh.sidecars)}.values():
        for host in sidecar.outbound.virtual_hosts:
            if id(host) not in of_host:
                of_host[id(host)] = list(_by_route(host))
            for callee, route, limit in of_host[id(host)]:
                found.setdefault((sidecar.service, callee), {})[route] = limit
    return found


def _by_route(host: ir.VirtualHost) -> Iterator[tuple[str, str, timedelta]]:
    for route in host.routes:
        if route.answer is None and not route.streaming:
            limit = route.timeout.duration or _NO_LIMIT
            for callee in dict.fromkeys(each.cluster.partition(".")[0] for each in route.backends):
                yield callee, route.name, limit


def _text(limit: timedelta) -> str:
    return "without a limit" if limit == _NO_LIMIT else duration_text(limit)
