"""The way of one request as a sequence diagram of Mermaid's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from meshctl.cli.formats.context import one_line
from meshctl.cli.request import answered, names, ways

if TYPE_CHECKING:
    from meshctl.simulate import Explanation, Hop, Step

_PLAIN = frozenset(" -_./:,=?%()*'`@+!")
"""What means nothing to Mermaid, beside letters and digits; all else is written by its number."""
_LINE = "<br/>"


def sequence(found: Explanation) -> Iterator[str]:
    """The lines of the diagram. Every text is escaped, so that none can draw anything."""
    client, sidecar = names(found)
    drawn = [each for each in ways(found.hops) if not each[0].copy]
    copied = [each for each in ways(found.hops) if each[0].copy]
    yield "sequenceDiagram"
    yield from _participants(client, sidecar, [*drawn, *copied])
    yield f"    client->>own: {escaped(f'{found.request.method} {found.url}')}"
    yield from _note("own", found.steps)
    for number, way in enumerate(copied, len(drawn)):
        yield from _way(way, number, "-)")
    for number, way in enumerate(drawn):
        if len(drawn) > 1:
            yield f"    {'alt' if number == 0 else 'else'} {_shares(way)}"
        yield from _way(way, number, "->>")
    if len(drawn) > 1:
        yield "    end"
    yield from _note("own", found.back)
    yield f"    own-->>client: {escaped(answered(found.outcome))}"


def escaped(text: str) -> str:
    """``text`` with everything that Mermaid could read as its own written as a numbered character."""
    return "".join(
        each if (each.isascii() and each.isalnum()) or each in _PLAIN else f"#{ord(each)};"
        for each in one_line(text)
    ).replace("%%", "#37;#37;")


def _participants(client: str, sidecar: str, listed: Sequence[Sequence[Hop]]) -> Iterator[str]:
    yield f"    participant client as {escaped(client)}"
    yield f"    participant own as {escaped(sidecar)}"
    for number, (first, *_) in enumerate(listed):
        if first.arrival:
            yield f"    participant s{number} as {escaped(f'sidecar of {first.callee}')}"
        if first.received:
            yield f"    participant a{number} as {escaped(first.callee)}"


def _way(hops: Sequence[Hop], number: int, arrow: str) -> Iterator[str]:
    first, nearest = hops[0], f"s{number}" if hops[0].arrival else f"a{number}"
    shown = [*first.steps, *(step for hop in hops[1:] for step in hop.steps if step not in first.steps)]
    if not first.arrival and not first.received:
        yield from _note("own", shown)
        return
    yield f"    own{arrow}{nearest}: {_shares(hops)}"
    yield from _note(f"own,{nearest}", shown)
    if first.arrival:
        yield from _note(nearest, first.arrival)
    if first.arrival and first.received:
        yield f"    {nearest}->>a{number}: {escaped(first.received[0].text)}"
        yield f"    a{number}-->>{nearest}: its answer"
    if not first.copy:
        status = first.backend.status
        yield f"    {nearest}-->>own: {'the same' if status is None and first.arrival else status or 'its answer'}"


def _shares(hops: Sequence[Hop]) -> str:
    shares = (f"{float(each.backend.share * 100):.4g}% {each.backend.cluster}" for each in hops)
    return escaped(f"{'copies: ' if hops[0].copy else ''}{', '.join(shares)}")


def _note(over: str, steps: Sequence[Step]) -> Iterator[str]:
    """A note with what happens; what was passed over is in the other formats."""
    told = [escaped(f"{each.topic}: {each.text}") for each in steps if not each.passed_over]
    if told:
        yield f"    Note over {over}: {_LINE.join(told)}"
