"""In which order a change of `mtls` is deployed, so that nobody is refused on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from meshctl import ir
from meshctl.ir import MtlsMode
from meshctl.ir.change import Ordered

_Change = tuple[MtlsMode, MtlsMode]


def order(before: ir.Mesh, after: ir.Mesh) -> tuple[str, ...]:
    """Steps in words, the first one first; none where no mode changes, or where any order will do."""
    changes = dict(_changes(before, after))
    callers = _callers(after)
    return (
        *_two_steps(_those(changes, MtlsMode.DISABLED, MtlsMode.STRICT), "disabled", "strict"),
        *_two_steps(_those(changes, MtlsMode.STRICT, MtlsMode.DISABLED), "strict", "disabled"),
        *_to_mutual_tls(_those(changes, MtlsMode.DISABLED, MtlsMode.PERMISSIVE), callers, _refusing(after)),
        *_opened(_those(changes, MtlsMode.STRICT, MtlsMode.PERMISSIVE)),
        *_closed(_those(changes, MtlsMode.PERMISSIVE, MtlsMode.STRICT)),
        *_to_plaintext(_those(changes, MtlsMode.PERMISSIVE, MtlsMode.DISABLED), callers),
    )


def ordering(before: ir.Mesh, after: ir.Mesh) -> Iterator[Ordered]:
    """:func:`order`, with whom it is about; nothing where only doors are opened, for that any order will do."""
    names = [
        name for name, change in _changes(before, after) if change != (MtlsMode.STRICT, MtlsMode.PERMISSIVE)
    ]
    if names:
        callers = _callers(after)
        calling = {caller for name in names for caller in callers.get(name, ())}
        yield Ordered("mTLS", tuple(names), tuple(sorted(calling)), order(before, after))


def _changes(before: ir.Mesh, after: ir.Mesh) -> Iterator[tuple[str, _Change]]:
    old, new = _modes(before), _modes(after)
    for name in sorted(old.keys() & new.keys()):
        if old[name] is not new[name]:
            yield name, (old[name], new[name])


def _modes(mesh: ir.Mesh) -> dict[str, MtlsMode]:
    return {each.service: each.inbound.mtls for each in mesh.sidecars if each.inbound is not None}


def _refusing(mesh: ir.Mesh) -> set[str]:
    """Services that let nobody in who comes in plaintext."""
    found = set()
    for each in mesh.sidecars:
        rules = each.inbound.authorization if each.inbound is not None else None
        if rules is not None and not rules.audit and not rules.of_plaintext().rules:
            found.add(each.service)
    return found


def _callers(mesh: ir.Mesh) -> dict[str, list[str]]:
    callers: dict[str, list[str]] = {}
    for caller, callee in mesh.calls:
        callers.setdefault(callee, []).append(caller)
    return callers


def _those(changes: Mapping[str, _Change], old: MtlsMode, new: MtlsMode) -> list[str]:
    return [name for name, change in changes.items() if change == (old, new)]


def _two_steps(services: list[str], old: str, new: str) -> Iterator[str]:
    if services:
        yield (
            f"{listed(services)}: from {old} to {new} in one step no order is safe, for old and new sidecars do not "
            f"understand each other; commit and deploy `mtls: {{mode: permissive, until: …}}` first, and {new} when "
            "that is deployed everywhere"
        )


def _to_mutual_tls(
    services: list[str], callers: Mapping[str, list[str]], refusing: Collection[str]
) -> Iterator[str]:
    """From disabled to permissive: who is called before who calls, who speaks mutual TLS from then on."""
    if not services:
        return
    called = [name for name in services if callers.get(name)]
    closed = [name for name in called if name in refusing]
    if closed:
        yield (
            f"let plaintext into {listed(closed)} for the time being, by "
            '`allow: [{from: ["*", unauthenticated]}]` there: callers that are not deployed yet would be refused'
        )
    waits: dict[str, set[str]] = {name: set() for name in services}
    for name in services:
        for caller in callers.get(name, ()):
            waits.setdefault(caller, set()).add(name)
    for ready in _in_turn(waits):
        if isinstance(ready, str):
            yield ready
            continue
        opened = [name for name in ready if name in called]
        others = [name for name in ready if name not in called]
        if opened:
            yield f"deploy {listed(opened)}, before anybody who calls: takes mutual TLS and plaintext from then on"
        if others:
            yield f"deploy {listed(others)}: calls with mutual TLS from then on"


def _in_turn(waits: Mapping[str, Collection[str]]) -> Iterator[list[str] | str]:
    """Who may be deployed together, each after those that it waits for; why not, where some wait for each other."""
    sorter = TopologicalSorter(waits)
    try:
        sorter.prepare()
    except CycleError as error:
        ring = sorted(set(error.args[1]))
        yield (
            f"{listed(ring)} {'calls itself' if len(ring) == 1 else 'call each other'}, so no order of this change is safe: "
            "change one service after the other, each in a commit of its own, by `mtls` at the service"
        )
        return
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sorter.done(*ready)
        yield ready


def _opened(services: list[str]) -> Iterator[str]:
    if services:
        yield (
            f"deploy {listed(services)}, in any order: callers go on with mutual TLS, and plaintext may do what "
            "`from: [unauthenticated]` allows"
        )


def _closed(services: list[str]) -> Iterator[str]:
    if services:
        yield (
            f"see that nobody comes to {listed(services)} in plaintext any more: no line of the access log there has "
            '`"direction":"inbound"` and `"caller":""`'
        )
        yield f"deploy {listed(services)}: what comes in plaintext is closed from then on"


def _to_plaintext(services: list[str], callers: Mapping[str, list[str]]) -> Iterator[str]:
    """From permissive to disabled: who calls before who is called, who takes no mutual TLS from then on."""
    called = [name for name in services if callers.get(name)]
    for ready in _in_turn({name: callers.get(name, ()) for name in services}):
        if isinstance(ready, str):
            yield ready
            continue
        calling = [name for name in ready if name not in called]
        closed = [name for name in ready if name in called]
        if calling:
            yield (
                f"deploy {listed(calling)}: calls in plaintext from then on, and may do what `from: [unauthenticated]` "
                "allows"
            )
        if closed:
            yield (
                f"deploy {listed(closed)}, when all callers are: takes plaintext alone from then on, and calls in "
                "plaintext"
            )


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)
