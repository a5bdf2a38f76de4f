"""What one request would do, with the lines of the spec that decide it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from meshctl.diagnostics import Position
from meshctl.pipeline.checking import check, load

if TYPE_CHECKING:
    from meshctl.simulate import Asked, CallPath, Explanation, Step
    from meshctl.spec import Source, Spec


def explain_request(
    location: str, caller: str, first: Asked, then: Sequence[Asked] = (), environment: str | None = None
) -> CallPath:
    """The way of ``first`` from ``caller``, and of what each application on its way asks because of it.

    By the spec alone. Raises FindingsError for a spec with errors, UsageError for an unknown caller, for a URL that is
    none, and where it is not clear who asks on.
    """
    from meshctl import simulate

    validated = check(load(location, environment), builds=False)
    found = simulate.explain_path(validated.require(), caller, first, then)
    if validated.spec is None:  # there is no mesh then
        return found
    calls = tuple(_with_places(each, validated.spec) for each in found.calls)
    return structs.replace(found, calls=calls, steps=_placed(found.steps, validated.spec))


def _with_places(found: Explanation, spec: Spec) -> Explanation:
    hops = (
        structs.replace(each, steps=_placed(each.steps, spec), arrival=_placed(each.arrival, spec))
        for each in found.hops
    )
    steps, back = _placed(found.steps, spec), _placed(found.back, spec)
    return structs.replace(found, steps=steps, back=back, hops=tuple(hops))


def _placed(steps: Iterable[Step], spec: Spec) -> tuple[Step, ...]:
    """The steps with the places of the parts and settings that decided them."""
    placed = []
    for each in steps:
        if each.setting:
            placed.append(structs.replace(each, at=_said(spec, each.setting)))
        elif each.path:
            placed.append(structs.replace(each, at=place(spec.source, each.path) or each.at))
        else:
            placed.append(each)
    return tuple(placed)


def _said(spec: Spec, setting: Sequence[str]) -> Position | None:
    """Where the layer that holds wrote a setting."""
    from meshctl.resolve import settings

    return settings.settings(spec, ".".join(setting))[0].at


def place(source: Source, path: Sequence[str]) -> Position | None:
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
