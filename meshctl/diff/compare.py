"""Two meshes, service by service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from meshctl import ir
from meshctl.diff import mtls
from meshctl.diff.callee import View, compare_views, service_of, views
from meshctl.diff.certificates import certificates
from meshctl.diff.change import Change, MeshDiff, Sign, changed, keyed, whole
from meshctl.diff.ordering import beside_mtls
from meshctl.diff.patience import patience
from meshctl.diff.policy_words import access_log, objectives, rate_limit, tracing
from meshctl.diff.renaming import Names, renamed, under
from meshctl.diff.rollout import rollout
from meshctl.diff.words import issuer, rule
from meshctl.ir.slo import ServiceLevel

_FILES_ALONE = "its files change, not what it does"


Promises = Mapping[str, ServiceLevel]
"""By service what it promises. Sidecars do not know of it, so meshes do not hold it."""

_NONE: Promises = {}


def compare(
    before: ir.Mesh, after: ir.Mesh, promised: Promises = _NONE, promises: Promises = _NONE
) -> MeshDiff:
    """What a team has to know before it deploys ``after`` in place of ``before``.

    ``promised`` is what the services of ``before`` promise, under their names there, ``promises`` those of ``after``.
    """
    names = renamed(before, after)
    was = under(before, names)
    old, new = set(was.calls), set(after.calls)
    sides = (
        _Mesh(was, {names.get(name, name): level for name, level in promised.items()}),
        _Mesh(after, promises),
    )
    return MeshDiff(
        changes=(
            *whole("mesh", after.name, _mesh(before, after)),
            *_services(*sides, names),
            *_externals(*sides),
        ),
        sidecars=tuple(_sidecars(before, after)),
        reach_added=tuple(sorted(new - old)),
        reach_removed=tuple(sorted(old - new)),
        order=(
            *mtls.order(was, after),
            *(step for each in beside_mtls(was, after, names) for step in each.steps),
            *rollout(was, after),
        ),
        consequences=(*patience(was, after), *certificates(before, after, names)),
        renamed=tuple(sorted(names.items())),
    )


def _sidecars(before: ir.Mesh, after: ir.Mesh) -> Iterator[Change]:
    old, new = (
        {f"{each.service}/{each.instance}".rstrip("/"): each for each in mesh.sidecars}
        for mesh in (before, after)
    )
    builds = ({name: each.build for name, each in sidecars.items()} for sidecars in (old, new))
    for change in keyed("sidecar", *builds):
        same = (
            change.sign is Sign.CHANGED
            and replace(old[change.name], build=new[change.name].build) == new[change.name]
        )
        yield replace(change, meaning=_FILES_ALONE) if same else change


def _mesh(before: ir.Mesh, after: ir.Mesh) -> Iterator[Change]:
    yield from changed("name", before.name, after.name)
    yield from changed("domain", before.domain, after.domain)
    yield from changed("trust domain", before.trust_domain, after.trust_domain)
    for what, old, new in (
        ("certificate lifetime", before.certificates.lifetime, after.certificates.lifetime),
        ("certificate renewal", before.certificates.renew_before, after.certificates.renew_before),
    ):
        yield from changed(what, ir.duration_text(old), ir.duration_text(new))
    if before.sidecars and after.sidecars:
        old_one, new_one = before.sidecars[0], after.sidecars[0]
        yield from changed("oldest TLS version", old_one.tls.minimum_version, new_one.tls.minimum_version)
        yield from changed("cipher suites", _suites(old_one.tls), _suites(new_one.tls))
        yield from changed("revocation lists", _on(_looks_up(before)), _on(_looks_up(after)))
        yield from changed("access log", access_log(old_one.access_log), access_log(new_one.access_log))
        yield from changed("metrics", _on(old_one.metrics), _on(new_one.metrics))
        yield from changed("tracing", tracing(old_one.tracing), tracing(new_one.tracing))


def _looks_up(mesh: ir.Mesh) -> bool:
    return any(each.tls.crl for each in mesh.sidecars)


def _suites(tls: ir.TlsContext) -> str:
    return ", ".join(tls.cipher_suites) or "the usual ones"


def _on(value: object) -> str:
    return "on" if value else "off"


def _services(old: _Mesh, new: _Mesh, names: Names) -> Iterator[Change]:
    former = {new_name: old_name for old_name, new_name in names.items()}
    for name in sorted(old.sidecars.keys() | new.sidecars.keys()):
        if name in former:
            inside = tuple(_service(name, old, new))
            yield Change(Sign.RENAMED, "service", name, former[name], name, inside)
        elif name not in old.sidecars:
            yield Change(Sign.ADDED, "service", name, changes=tuple(_callers(set(), new.callers(name))))
        elif name not in new.sidecars:
            yield Change(Sign.REMOVED, "service", name, changes=tuple(_callers(old.callers(name), set())))
        else:
            yield from whole("service", name, _service(name, old, new))


def _externals(old: _Mesh, new: _Mesh) -> Iterator[Change]:
    """What callers know of callees without a sidecar."""
    inside = old.sidecars.keys() | new.sidecars.keys()
    for name in sorted((old.callees() | new.callees()) - inside):
        seen, now = old.views(name), new.views(name)
        callers = _callers({service_of(each) for each in seen}, {service_of(each) for each in now})
        if not seen:
            yield Change(Sign.ADDED, "external", name, changes=tuple(callers))
        elif not now:
            yield Change(Sign.REMOVED, "external", name, changes=tuple(callers))
        else:
            yield from whole("external", name, (*callers, *compare_views(seen, now)))


class _Mesh:
    """A mesh with its parts by service."""

    def __init__(self, mesh: ir.Mesh, promises: Promises) -> None:
        self.promises = promises
        self.sidecars: dict[str, list[ir.Sidecar]] = {}
        self._callers: dict[str, set[str]] = {}
        self._views = views(mesh)
        for sidecar in mesh.sidecars:
            self.sidecars.setdefault(sidecar.service, []).append(sidecar)
        for caller, callee in mesh.calls:
            self._callers.setdefault(callee, set()).add(caller)

    def callers(self, name: str) -> set[str]:
        """Who may send requests to the service ``name``."""
        return self._callers.get(name, set())

    def callees(self) -> AbstractSet[str]:
        """Whom anybody calls, externals too."""
        return self._views.keys()

    def views(self, name: str) -> dict[str, View]:
        """What each caller knows of the service ``name``."""
        return self._views.get(name, {})


def _service(name: str, old: _Mesh, new: _Mesh) -> Iterator[Change]:
    before, after = old.sidecars[name], new.sidecars[name]
    # What both meshes share is the same.
    differ = list(map(id, before)) != list(map(id, after))
    if differ:
        yield from changed("proxy", before[0].proxy, after[0].proxy)
        yield from _bundles(before, after)
    yield from _callers(old.callers(name), new.callers(name))
    if differ:
        yield from _inbound(before[0].inbound, after[0].inbound)
        yield from _listeners(before, after)
    yield from changed(
        "service level objectives", *(objectives(each.promises.get(name)) for each in (old, new))
    )
    yield from compare_views(old.views(name), new.views(name))


def _inbound(before: ir.InboundListener | None, after: ir.InboundListener | None) -> Iterator[Change]:
    if before is None or after is None:
        return
    yield from changed("rate limit", rate_limit(before.rate_limit), rate_limit(after.rate_limit))
    yield from changed("mTLS", before.mtls, after.mtls)
    old, new = before.authorization, after.authorization
    yield from changed("authorization", old.mode, new.mode)
    yield from changed("audit", _on(old.audit), _on(new.audit))
    issuers = ({each.name: issuer(each) for each in its.issuers} for its in (old, new))
    yield from keyed("token issuer", *issuers)
    for what, rules, others in (
        ("allow", old.rules, new.rules),
        ("deny", old.deny, new.deny),
        ("always allow", old.exempt, new.exempt),
    ):
        written = any(each.at for each in (*rules, *others))
        if written or what != "allow":
            yield from keyed(what, {rule(each): "" for each in rules}, {rule(each): "" for each in others})


def _bundles(before: list[ir.Sidecar], after: list[ir.Sidecar]) -> Iterator[Change]:
    """Which bundles there are: another set where all are others, else what came and went."""
    old, new = ({each.instance: "" for each in sidecars} for sidecars in (before, after))
    if old.keys() & new.keys():
        yield from keyed("bundle", old, new)
    else:
        yield from changed("bundles", _instances(old), _instances(new))


def _instances(names: Iterable[str]) -> str:
    return ", ".join(name or "one for all endpoints" for name in names)


def _callers(before: set[str], after: set[str]) -> Iterator[Change]:
    if before != after:
        yield from keyed("caller", dict.fromkeys(before, ""), dict.fromkeys(after, ""))


def _listeners(before: list[ir.Sidecar], after: list[ir.Sidecar]) -> Iterator[Change]:
    """The addresses of bundles that are there before and after."""
    old = {each.instance: each for each in before}
    for sidecar in after:
        if sidecar.instance in old:
            was = old[sidecar.instance]
            inside = (*keyed("listener", _sockets(was), _sockets(sidecar)), *_application(was, sidecar))
            yield from whole("instance", sidecar.instance, inside) if sidecar.instance else inside


def _application(before: ir.Sidecar, after: ir.Sidecar) -> Iterator[Change]:
    """How a sidecar speaks with its own application."""
    yield from changed("unknown hosts", _unknown(before), _unknown(after))
    yield from changed("outbound protocol", _spoken(before), _spoken(after))
    old, new = before.inbound, after.inbound
    if old is not None and new is not None:
        yield from changed("application protocol", old.protocol, new.protocol)
        for what, was, now in (
            ("application connect timeout", old.connect_timeout, new.connect_timeout),
            ("application idle timeout", old.idle_timeout, new.idle_timeout),
        ):
            yield from changed(what, ir.duration_text(was), ir.duration_text(now))


def _unknown(sidecar: ir.Sidecar) -> str:
    return "sent on" if sidecar.outbound.egress is not None else "refused"


def _spoken(sidecar: ir.Sidecar) -> str:
    return "HTTP/1.1 and HTTP/2" if sidecar.outbound.http2 else "HTTP/1.1"


def _sockets(sidecar: ir.Sidecar) -> dict[str, str]:
    sockets = {"outbound": _binds(sidecar.outbound.binds), "admin": str(sidecar.admin.bind)}
    inbound = sidecar.inbound
    if inbound is not None:
        sockets |= {"inbound": _binds(inbound.binds), "application": str(inbound.application)}
    if sidecar.health is not None:
        sockets["health"] = f"{_binds(sidecar.health.binds)} {sidecar.health.path}".rstrip()
    for local in sidecar.locals:
        sockets |= {f"local port of {host.service}": _binds(local.binds) for host in local.virtual_hosts}
    sockets |= {f"local port of {tcp.service}": _binds(tcp.binds) for tcp in sidecar.tcp if not tcp.sni}
    for tcp in sidecar.tcp:
        sockets |= {
            f"TLS for {name}": f"{_binds(tcp.binds)} to {each.cluster}"
            for each in tcp.sni
            for name in each.hostnames
        }
    tls = sidecar.outbound.tls
    if tls is not None:
        sockets["TLS"] = f"{tls.certificate} with {tls.key}, at least {tls.minimum_version}"
    if sidecar.resolvers:
        sockets["resolvers"] = _binds(sidecar.resolvers)
    return sockets


def _binds(binds: tuple[ir.SocketAddress, ...]) -> str:
    return ", ".join(map(str, binds))
