"""nftables: rules by the user who sends, and by the port that is asked for.

Only in the output path the kernel knows whose packet it is, so nearly everything is decided there. A listener's
answer is its user's packet too: an application answers nobody but this host, on whatever port it listens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from meshctl.artifacts import Artifact
from meshctl.diagnostics import UsageError
from meshctl.ir import SocketAddress
from meshctl.ir.segmentation import ANYWHERE, Destination, Interception, Perimeter
from meshctl.segmentation.naming import Naming
from meshctl.segmentation.notes import notes

FAMILIES = (4, 6)
_ADDRESS = {4: "ip daddr", 6: "ip6 daddr"}
_INDENT = "\t\t"


def emit(perimeters: Iterable[Perimeter], naming: Naming, *, intercept: bool) -> Iterator[Artifact]:
    """One file for each sidecar: a table of its own, which replaces the one before it at once.

    Raises UsageError where two sidecars of one host have a user in common: each table would refuse what the other is for.
    """
    listed = list(perimeters)
    _require_own_users(listed, naming)
    for each in listed:
        text = "".join(f"{line}\n" for line in _file(each, naming.users(each.service), intercept=intercept))
        yield Artifact(f"nftables/{each.name}/rules.nft", text.encode())


def _require_own_users(perimeters: Iterable[Perimeter], naming: Naming) -> None:
    first_of: dict[tuple[str, str], Perimeter] = {}
    for each in perimeters:
        application, sidecar = naming.users(each.service)
        for host in each.hosts:
            machine = "this machine" if ip_address(host).is_loopback else host
            for user in (application, sidecar) if each.entrances else (sidecar,):
                first = first_of.setdefault((machine, user), each)
                if first is not each:
                    raise UsageError(
                        f"{first.name} and {each.name} are both on {machine}, and both have the user {user}; "
                        "rules by user cannot tell them apart: choose users with --application and --sidecar"
                    )


def table(perimeter: Perimeter) -> str:
    """The name of a sidecar's table, unique on a host."""
    return f"meshctl_{perimeter.name}".replace("/", "_").replace(":", ".")


def _file(perimeter: Perimeter, users: tuple[str, str], *, intercept: bool) -> Iterator[str]:
    application, sidecar = users
    name = f"inet {table(perimeter)}"
    yield f"# {perimeter.name} of the mesh {perimeter.mesh}. Made by meshctl; changes are lost when it is made again."
    if perimeter.entrances:
        yield f"# The application runs as the user {application}, its sidecar as {sidecar}."
    else:
        yield f"# The gateway runs as the user {sidecar}."
    yield from (f"# Open: {note}." for note in notes(perimeter))
    if intercept:
        yield from (f"# Not intercepted: {note}." for note in perimeter.interception_notes)
    yield from ("", f"add table {name}", f"delete table {name}", f"table {name} {{")
    yield from _output(perimeter, application, sidecar)
    if perimeter.entrances:
        yield from _application(perimeter)
    yield from _sidecar(perimeter)
    yield from _others(perimeter)
    if perimeter.closed:
        yield from _input(perimeter)
    if intercept and perimeter.interceptions:
        yield from _interception(perimeter.interceptions, application)
    yield "}"


def _chain(name: str, hook: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"\tchain {name} {{"
    if hook:
        yield f"{_INDENT}type {hook}; policy accept;"
    yield from (f"{_INDENT}{rule}" for rule in rules)
    yield "\t}"


def _output(perimeter: Perimeter, application: str, sidecar: str) -> Iterator[str]:
    rules = [f'meta skuid "{application}" jump application'] if perimeter.entrances else []
    rules.append(f'meta skuid "{sidecar}" jump sidecar')
    if _guarded(perimeter):
        # Who is root can take the rules away, and looks for what is wrong.
        rules.append("meta skuid != 0 jump others")
    yield from _chain("output", "filter hook output priority filter", rules)


def _application(perimeter: Perimeter) -> Iterator[str]:
    own = (perimeter.application,) if perimeter.application else ()
    rules = [
        'ct direction reply fib daddr type local accept comment "answers, on this host alone"',
        *_sockets(perimeter.entrances, "ct direction original", 'accept comment "its sidecar"'),
        *_sockets(own, "ct direction original", 'accept comment "itself"'),
        *_destinations(perimeter.besides, "ct direction original"),
        *_refusals(),
    ]
    yield from _chain("application", "", rules)


def _sidecar(perimeter: Perimeter) -> Iterator[str]:
    own = (perimeter.application,) if perimeter.application else ()
    rules = [
        "ct state established,related accept",
        *_sockets(own, "", 'accept comment "its application"'),
        *_sockets((perimeter.admin,), "", 'accept comment "a reload asks which build is served"'),
        *_destinations(perimeter.destinations, ""),
        *_refusals(),
    ]
    yield from _chain("sidecar", "", rules)


def _guarded(perimeter: Perimeter) -> tuple[SocketAddress, ...]:
    """What no other user of this host may reach: the application, and what speaks in its name."""
    return (*((perimeter.application,) if perimeter.application else ()), *perimeter.entrances)


def _others(perimeter: Perimeter) -> Iterator[str]:
    guarded = _guarded(perimeter)
    if guarded:
        refusal = "counter reject with tcp reset"
        found = (_wherever_it_listens(each) if each is perimeter.application else each for each in guarded)
        yield from _chain("others", "", _sockets(found, "ct direction original", refusal))


def _wherever_it_listens(application: SocketAddress) -> SocketAddress:
    """An application that listens on all addresses is there on each of this host, and no packet of this host's is an input from outside.

    Where it is not on the usual loopback, `bind: endpoint` gives each service addresses, and may give many one port.
    """
    return replace(application, address="::") if application.address == "127.0.0.1" else application


def _input(perimeter: Perimeter) -> Iterator[str]:
    ports = _set(map(str, perimeter.closed))
    rule = f'iifname != "lo" ct direction original tcp dport {ports} counter reject with tcp reset'
    yield from _chain("input", "filter hook input priority filter", [rule])


def _interception(caught: Iterable[Interception], application: str) -> Iterator[str]:
    rules = []
    for each in caught:
        for family in FAMILIES:
            to = next((it for it in each.to if ip_address(it.address).version == family), None)
            places = _of(family, each.networks)
            if to is None or (each.networks and not places):
                continue
            own = "127.0.0.0/8" if family == 4 else "::1"
            address = _ADDRESS[family]
            among = f"{address} {_set(places)} " if places else ""
            ports = _set(map(str, each.ports))
            rules.append(
                f'meta skuid "{application}" {address} != {own} {among}tcp dport {ports} '
                f'dnat {"ip" if family == 4 else "ip6"} to {to} comment "{each.name}"'
            )
    # The priority of destination NAT, whose name nft knows only where packets come in.
    yield from _chain("intercept", "nat hook output priority -100", rules)


def _refusals() -> tuple[str, str]:
    """At once, rather than after a timeout."""
    return "meta l4proto tcp counter reject with tcp reset", "counter reject with icmpx admin-prohibited"


def _sockets(sockets: Iterable[SocketAddress], match: str, verdict: str) -> Iterator[str]:
    """One rule for each address, with all of its ports."""
    ports: dict[str, set[int]] = {}
    for each in sockets:
        ports.setdefault(each.address, set()).add(each.port)
    for address, its in sorted(ports.items()):
        parsed = ip_address(address)
        where = "fib daddr type local" if parsed.is_unspecified else f"{_ADDRESS[parsed.version]} {address}"
        yield " ".join(filter(None, (match, where, f"tcp dport {_set(map(str, sorted(its)))}", verdict)))


def _destinations(destinations: Iterable[Destination], match: str) -> Iterator[str]:
    for each in destinations:
        port = f"{each.transport} dport {each.port}" if each.port else f"meta l4proto {each.transport}"
        for family in FAMILIES:
            places = _of(family, each.networks)
            if not places:
                continue
            everywhere = set(places) & set(ANYWHERE)
            where = f"meta nfproto ipv{family}" if everywhere else f"{_ADDRESS[family]} {_set(places)}"
            yield " ".join(filter(None, (match, where, port, f'accept comment "{each.name}"')))


def _of(family: int, places: Iterable[str]) -> tuple[str, ...]:
    """Those of one family, single addresses without a length."""
    parsed = (ip_network(each) for each in places)
    return tuple(
        str(each.network_address) if each.num_addresses == 1 else str(each)
        for each in parsed
        if each.version == family
    )


def _set(words: Iterable[str]) -> str:
    listed = list(words)
    return listed[0] if len(listed) == 1 else f"{{ {', '.join(listed)} }}"
