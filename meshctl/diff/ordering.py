"""What changes on both sides of calls so that sidecars of before and after do not get on, and the safe order of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from meshctl import ir
from meshctl.diff import mtls
from meshctl.diff.renaming import Names
from meshctl.ir.change import Ordered

_NO_NAMES: Names = {}
_Step = Callable[..., Ordered]
"""Makes the words about a callee, its callers and what else it wants."""


def ordering(before: ir.Mesh, after: ir.Mesh) -> tuple[Ordered, ...]:
    """One for each kind of change and callee; nothing about calls that only one of the two meshes has."""
    return (*mtls.ordering(before, after), *beside_mtls(before, after))


def beside_mtls(before: ir.Mesh, after: ir.Mesh, names: Names = _NO_NAMES) -> tuple[Ordered, ...]:
    """The same without changes of `mtls`; ``names`` are those that services of ``before`` have got, and are called by here."""
    return (*_trust_domain(before, after), *_renamed(after, names), *_calls(before, after))


def _renamed(after: ir.Mesh, names: Names) -> Iterator[Ordered]:
    for old, new in sorted(names.items()):
        callers = tuple(sorted(caller for caller, callee in after.calls if callee == new))
        if callers:
            yield Ordered(
                f"the name of `{old}`, to `{new}`",
                (new,),
                callers,
                (
                    f"in one step no order is safe, for sidecars verify the name of `{old}` and applications ask for it: list `{new}` beside it, with endpoints of its own, and deploy that",
                    f"let {mtls.listed(callers)} call `{new}`, and take `{old}` out of the spec when nobody calls it any more",
                ),
            )


def _trust_domain(before: ir.Mesh, after: ir.Mesh) -> Iterator[Ordered]:
    if before.trust_domain != after.trust_domain:
        yield Ordered(
            f"the trust domain, from {before.trust_domain} to {after.trust_domain}",
            (),
            (),
            (
                f"in one step no order is safe, for sidecars of two trust domains take each other for strangers: bring the mesh up in {after.trust_domain} beside the old one, with endpoints and gateways of its own",
                f"send the clients to the new gateways, and take {before.trust_domain} down when nobody comes there any more",
            ),
        )


def _calls(before: ir.Mesh, after: ir.Mesh) -> Iterator[Ordered]:
    old, new = _Sides(before), _Sides(after)
    found: dict[tuple[_Step, str, tuple[str, ...]], set[str]] = {}
    for caller in old.sidecars.keys() & new.sidecars.keys():
        was, now = old.sidecars[caller], new.sidecars[caller]
        if was.clusters != now.clusters:
            for key in _by_clusters(was, now):
                found.setdefault(key, set()).add(caller)
        if was.outbound != now.outbound:
            for callee in _rewritten(was, now):
                if old.paths(callee) != new.paths(callee):
                    found.setdefault((_paths_rewritten, callee, ()), set()).add(caller)
    told = [step(callee, tuple(sorted(callers)), *more) for (step, callee, more), callers in found.items()]
    yield from sorted(told, key=lambda each: (each.callees, each.what))


def _by_clusters(before: ir.Sidecar, after: ir.Sidecar) -> Iterator[tuple[_Step, str, tuple[str, ...]]]:
    old = {each.name: each for each in before.clusters}
    for cluster in after.clusters:
        known = old.get(cluster.name)
        if known is None or cluster.identity is None or known == cluster:
            continue
        if known.protocol is not cluster.protocol:
            yield _protocol, cluster.identity.service, (known.protocol, cluster.protocol)
        if _moves(known, cluster):
            yield _ports_moved, cluster.identity.service, ()


class _Sides:
    """A mesh by service; of several bundles one, for they differ in addresses alone."""

    def __init__(self, mesh: ir.Mesh) -> None:
        self.sidecars: Mapping[str, ir.Sidecar] = {each.service: each for each in reversed(mesh.sidecars)}

    def paths(self, callee: str) -> list[tuple[ir.PathMatch, ...]]:
        """The paths that the rules of a callee speak of."""
        sidecar = self.sidecars.get(callee)
        if sidecar is None or sidecar.inbound is None:
            return []
        its = sidecar.inbound.authorization
        return [each.paths for each in (*its.rules, *its.deny) if each.paths]


def _ports(cluster: ir.Cluster) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for each in cluster.endpoints:
        found.setdefault(each.socket.address, set()).add(each.socket.port)
    return found


def _moves(before: ir.Cluster, after: ir.Cluster) -> bool:
    """Whether an endpoint is at another port of the same host, and the old one is no more."""
    old, new = _ports(before), _ports(after)
    return any(old[host].isdisjoint(new[host]) for host in old.keys() & new.keys())


def _rewritten(before: ir.Sidecar, after: ir.Sidecar) -> Iterator[str]:
    """The services whose routes give another path than before."""
    old = {
        (host.service, route.name): route for host in before.outbound.virtual_hosts for route in host.routes
    }
    for host in after.outbound.virtual_hosts:
        for route in host.routes:
            was = old.get((host.service, route.name))
            if was is not None and was.rewrite != route.rewrite:
                yield from dict.fromkeys(each.cluster.partition(".")[0] for each in route.backends)


def _protocol(callee: str, callers: tuple[str, ...], before: str, after: str) -> Ordered:
    what = f"the protocol of `{callee}`, from {before} to {after}"
    listed = mtls.listed(callers)
    steps: tuple[str, ...]
    if ir.Protocol.TCP in (before, after):
        steps = (
            f"in one step no order is safe, for sidecars of before and after take each other's requests for streams, or streams for requests: list it under another name with {after}, and deploy that",
            f"let {listed} call the new name, and take `{callee}` out of the spec when nobody calls it any more",
        )
    elif before == ir.Protocol.HTTP:
        steps = (
            f"deploy `{callee}`: it takes HTTP/1.1 and HTTP/2 from sidecars",
            f"deploy {listed}: these call with HTTP/2 from then on",
        )
    elif after == ir.Protocol.HTTP:
        steps = (
            f"deploy {listed}: these call with HTTP/1.1 from then on",
            f"deploy `{callee}`, when all of these are",
        )
    else:
        steps = (
            f"deploy `{callee}`, then {listed}: sidecars speak HTTP/2 before and after, only the words differ",
        )
    return Ordered(what, (callee,), callers, steps)


def _ports_moved(callee: str, callers: tuple[str, ...]) -> Ordered:
    return Ordered(
        f"the port of endpoints of `{callee}`",
        (callee,),
        callers,
        (
            f"in one step no order is safe, for who has not heard of it asks at the old port: list endpoints of `{callee}` at the new port beside the old ones, and deploy these, then {mtls.listed(callers)}",
            "take the old endpoints out of the spec, and deploy the callers before the old ones are stopped",
        ),
    )


def _paths_rewritten(callee: str, callers: tuple[str, ...]) -> Ordered:
    return Ordered(
        f"the path that `{callee}` gets, and its rules about paths",
        (callee,),
        callers,
        (
            f"in one step no order is safe: let the old and the new paths in at `{callee}`, and deploy it",
            f"change the rewrite, and deploy {mtls.listed(callers)}",
            f"take the old paths out of the rules, and deploy `{callee}`",
        ),
    )
