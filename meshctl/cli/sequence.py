"""The way of one request as a sequence diagram of Mermaid's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.cli.formats.context import one_line
from meshctl.cli.request_text import answered, names, ways

if TYPE_CHECKING:
    from meshctl.simulate import CallPath, Explanation, Hop, Step

_PLAIN = frozenset(" -_./:,=?%()*'`@+!")
"""What means nothing to Mermaid, beside letters and digits; all else is written by its number."""
_LINE = "<br/>"


def sequence(path: CallPath) -> Iterator[str]:
    """The lines of the diagram: each call stands within the one that it is asked because of.

    Every text is escaped, so that none can draw anything.
    """
    yield "sequenceDiagram"
    yield f"    participant client as {escaped(names(path.calls[0])[0])}"
    calls = _drawings(path)
    for each in calls:
        yield from _participants(each)
    yield from _call(calls)
    if len(calls) > 1:
        yield from _note(f"client,{calls[-1].own}", path.steps)


class _Drawing(Struct, frozen=True):
    """One call, and the names that the diagram has for who takes part."""

    call: Explanation
    number: int
    client: str

    @property
    def ways(self) -> list[tuple[Hop, ...]]:
        """Those that may be drawn, then the copies."""
        return sorted(ways(self.call.hops), key=lambda each: each[0].copy)

    @property
    def own(self) -> str:
        return self._name("own")

    def sidecar(self, way: int) -> str:
        return self._name("s", way)

    def application(self, way: int) -> str:
        return self._name("a", way)

    def _name(self, role: str, way: int | str = "") -> str:
        return f"{role}{way}" if self.number == 0 else f"c{self.number}{role}{way}"


def _drawings(path: CallPath) -> list[_Drawing]:
    """Each call with who asks it: an application that the call before has led to."""
    found = [_Drawing(path.calls[0], 0, "client")]
    for number, call in enumerate(path.calls[1:], 1):
        before, asks = found[-1], call.sidecar.service
        way = next(
            way for way, (first, *_) in enumerate(before.ways) if first.callee == asks and first.received
        )
        found.append(_Drawing(call, number, before.application(way)))
    return found


def escaped(text: str) -> str:
    """``text`` with everything that Mermaid could read as its own written as a numbered character."""
    told = "".join(
        each if (each.isascii() and each.isalnum()) or each in _PLAIN else f"#{ord(each)};"
        for each in one_line(text)
    )
    # Comments, and orders to break lines at the beginning of a text.
    return told.replace("%%", "#37;#37;").replace("wrap:", "wrap#58;")


def _participants(drawing: _Drawing) -> Iterator[str]:
    yield f"    participant {drawing.own} as {escaped(names(drawing.call)[1])}"
    for number, (first, *_) in enumerate(drawing.ways):
        if first.arrival:
            yield f"    participant {drawing.sidecar(number)} as {escaped(f'sidecar of {first.callee}')}"
        if first.received:
            yield f"    participant {drawing.application(number)} as {escaped(first.callee)}"


def _call(drawings: Sequence[_Drawing]) -> Iterator[str]:
    """The first of the calls, and within it the others."""
    drawing, *_ = drawings
    found, own, client = drawing.call, drawing.own, drawing.client
    yield f"    {client}->>{own}: {escaped(f'{found.request.method} {found.url}')}"
    yield from _note(own, found.steps)
    listed = list(enumerate(drawing.ways))
    drawn = [number for number, way in listed if not way[0].copy]
    for number, way in listed:
        if way[0].copy:
            yield from _way(drawings, way, number, "-)")
    for number in drawn:
        if len(drawn) > 1:
            yield f"    {'alt' if number == 0 else 'else'} {_shares(drawing.ways[number])}"
        yield from _way(drawings, drawing.ways[number], number, "->>")
    if len(drawn) > 1:
        yield "    end"
    yield from _note(own, found.back)
    yield f"    {own}-->>{client}: {escaped(answered(found.outcome))}"


def _way(drawings: Sequence[_Drawing], hops: Sequence[Hop], number: int, arrow: str) -> Iterator[str]:
    drawing, *further = drawings
    own, sidecar, application = drawing.own, drawing.sidecar(number), drawing.application(number)
    first, nearest = hops[0], sidecar if hops[0].arrival else application
    shown = [*first.steps, *(step for hop in hops[1:] for step in hop.steps if step not in first.steps)]
    if not first.arrival and not first.received:
        yield from _note(own, shown)
        return
    yield f"    {own}{arrow}{nearest}: {_shares(hops)}"
    yield from _note(f"{own},{nearest}", shown)
    if first.arrival:
        yield from _note(nearest, first.arrival)
    asks_on = bool(further) and further[0].client == application
    if first.arrival and first.received:
        yield f"    {nearest}->>{application}: {escaped(first.received[0].text)}"
        if asks_on:
            yield from _call(further)
        yield f"    {application}-->>{nearest}: its answer"
    if not first.copy:
        status = first.backend.status
        answer = "the same" if status is None and first.arrival else status or "its answer"
        yield f"    {nearest}-->>{own}: {answer}"


def _shares(hops: Sequence[Hop]) -> str:
    shares = (f"{float(each.backend.share * 100):.4g}% {each.backend.cluster}" for each in hops)
    return escaped(f"{'copies: ' if hops[0].copy else ''}{', '.join(shares)}")


def _note(over: str, steps: Sequence[Step]) -> Iterator[str]:
    """A note with what happens; what was passed over is in the other formats."""
    told = [escaped(f"{each.topic}: {each.text}") for each in steps if not each.passed_over]
    if told:
        yield f"    Note over {over}: {_LINE.join(told)}"
