"""What follows from a change of timeouts: who gives up on a callee that has not given up itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from msgspec import Struct

from meshctl import ir
from meshctl.ir import duration_text
from meshctl.ir.change import Consequence, Effect

_NO_LIMIT = timedelta.max
_Call = tuple[str, str]


def patience(before: ir.Mesh, after: ir.Mesh) -> Iterator[Consequence]:
    """Callers that wait for less long than their callees do, now or no more; of a call that is gone nothing is told."""
    of_host: dict[int, list[tuple[str, str, timedelta]]] = {}
    old, new = _waits(before, of_host), _waits(after, of_host)
    if old == new:
        return
    was, now = _inverted(old, old.keys() & new.keys()), _inverted(new, new)
    alike = {(each.services, each.waits, each.longest) for each in was.values()}
    fresh = (
        (key, now[key])
        for key in sorted(now.keys() - was.keys())
        # By a route that is new, as by another one before: nobody waits less than somebody did.
        if key[3] in old.get(key[:2], ())
        or (now[key].services, now[key].waits, now[key].longest) not in alike
    )
    told = dict.fromkeys((each.services, each.words) for _, each in fresh)
    for services, words in told:
        yield Consequence(Effect.GIVES_UP_FIRST, services, words)
    still = {each.services for each in now.values()}
    for services in dict.fromkeys(was[each].services for each in sorted(was.keys() - now.keys())):
        if services not in still:
            caller, callee, third = services
            text = f"`{caller}` no longer gives up on `{callee}` before `{callee}` does on `{third}`"
            yield Consequence(Effect.WAITS_LONG_ENOUGH, services, text)


class _Inversion(Struct, frozen=True):
    services: tuple[str, str, str]
    """Caller, callee, and for whom that waits longer."""
    route: str
    """Empty where all routes to the callee are alike."""
    waits: timedelta
    longest: timedelta
    """Of the callee's."""

    @property
    def words(self) -> str:
        """The fact in a sentence."""
        caller, callee, third = self.services
        by = f" (route `{self.route}`)" if self.route else ""
        beyond = f"`{callee}` waits for `{third}`"
        beyond = (
            f"{beyond}, which has no limit"
            if self.longest == _NO_LIMIT
            else f"the {duration_text(self.longest)} that {beyond}"
        )
        return f"`{caller}` waits {duration_text(self.waits)} for `{callee}`{by}, now less than {beyond}"


_Key = tuple[str, str, str, str]
"""Caller, callee, third and route."""


def _inverted(
    waits: Mapping[_Call, Mapping[str, timedelta]], calls: Iterable[_Call]
) -> dict[_Key, _Inversion]:
    known = sorted(calls)
    beyond: dict[str, list[tuple[str, timedelta]]] = {}
    for caller, callee in known:
        beyond.setdefault(caller, []).append((callee, max(waits[caller, callee].values())))
    found: dict[_Key, _Inversion] = {}
    for caller, callee in known:
        routes = waits[caller, callee]
        alike = len(set(routes.values())) == 1
        for third, longest in beyond.get(callee, ()):
            for route, limit in routes.items():
                if limit < longest:
                    shown = "" if alike else route
                    found[caller, callee, third, route] = _Inversion(
                        (caller, callee, third), shown, limit, longest
                    )
    return found


def _waits(
    mesh: ir.Mesh, of_host: dict[int, list[tuple[str, str, timedelta]]]
) -> dict[_Call, dict[str, timedelta]]:
    """How long each caller waits for each callee of the mesh or outside, by route; ``of_host`` keeps what is shared."""
    found: dict[_Call, dict[str, timedelta]] = {}
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
