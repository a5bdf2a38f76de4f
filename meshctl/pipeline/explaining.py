"""What one request would do, with the lines of the spec that decide it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from meshctl.diagnostics import Position
from meshctl.pipeline.checking import check, load

if TYPE_CHECKING:
    from meshctl.simulate import Explanation, Step
    from meshctl.spec import Source


def explain_request(
    location: str,
    caller: str,
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]] = (),
    environment: str | None = None,
) -> Explanation:
    """The way of ``method url`` from ``caller``, by the spec alone.

    Raises FindingsError for a spec with errors, UsageError for an unknown caller and for a URL that is none.
    """
    from meshctl.simulate import explain

    validated = check(load(location, environment), builds=False)
    found = explain(validated.require(), caller, method, url, headers)
    source = validated.source
    return dataclasses.replace(
        found,
        steps=_placed(found.steps, source),
        back=_placed(found.back, source),
        hops=tuple(
            dataclasses.replace(
                each, steps=_placed(each.steps, source), arrival=_placed(each.arrival, source)
            )
            for each in found.hops
        ),
    )


def _placed(steps: Iterable[Step], source: Source) -> tuple[Step, ...]:
    return tuple(
        dataclasses.replace(each, at=_place(source, each.path) or each.at) if each.path else each
        for each in steps
    )


def _place(source: Source, path: Sequence[str]) -> Position | None:
    """Where exactly that was written; items of a list by their name."""
    for key in path:
        node = source.node
        if isinstance(node, list):
            named = (at for at, each in enumerate(node) if isinstance(each, dict) and each.get("name") == key)
            index = next(named, None)
            if index is None:
                return None
            source = source[index]
        elif key in source:
            source = source[key]
        else:
            return None
    return source.here
