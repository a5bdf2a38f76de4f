"""Who can reach a service, for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, assert_never

from meshctl.cli.formats.context import one_line
from meshctl.ir.reachability import Door, Ground

if TYPE_CHECKING:
    from meshctl.diagnostics import Position
    from meshctl.ir.reachability import Entrance, Permission
    from meshctl.pipeline import Reached

_ARROW = " -> "


def told(found: Reached) -> Iterator[str]:
    """The lines of the answer."""
    yield _summary(found)
    if found.ways:
        yield from ("", "ways" + (f" (the first {len(found.ways)}, there are more)" if found.more else ""))
        healthy = _for_health_alone(found.permissions)
        for way in found.ways:
            alone = any(pair in healthy for pair in pairwise(way))
            yield f"  {_ARROW.join(way)}{' (health checks only)' if alone else ''}"
        yield from ("", "what permits each call")
        yield from _permissions(found.permissions)
    for title, lines in (
        ("without a certificate, by those who reach an address", _entrances(found.entrances)),
        ("would be let in, but nothing leads there", _permissions(found.uncalled)),
        (
            "calls that nothing permits",
            (f"  {each.caller}{_ARROW}{each.callee}{_place(each.at)}" for each in found.unpermitted),
        ),
    ):
        shown = list(lines)
        if shown:
            yield from ("", title, *shown)
    if any(len(each) > 2 for each in found.ways):
        yield ""
        yield "On a way of several calls each can make the next one call on. Whether that does, its application decides."


def _summary(found: Reached) -> str:
    callers = sorted({each[0] for each in found.ways})
    direct = {each[0] for each in found.ways if len(each) == 2}
    what = f"{found.section.removesuffix('s')} {found.target}"
    if not callers:
        besides = "; past their own sidecars some would be let in" if found.uncalled else ""
        return f"{what}: no service or gateway reaches it by a call{besides}"
    behind = len(callers) - len(direct)
    noun = "caller" if len(direct) == 1 else "callers"
    return f"{what}: {len(direct)} direct {noun}, {behind} behind {'it' if len(direct) == 1 else 'them'}"


def _for_health_alone(permissions: Iterable[Permission]) -> set[tuple[str, str]]:
    calls = {(each.caller, each.callee) for each in permissions}
    return calls - {(each.caller, each.callee) for each in permissions if each.ground is not Ground.HEALTH}


def _permissions(permissions: Iterable[Permission]) -> Iterator[str]:
    for (caller, callee), its in groupby(permissions, lambda each: (each.caller, each.callee)):
        yield f"  {'any identity of the mesh' if caller == '*' else caller}{_ARROW}{callee}"
        for each in its:
            yield from _permission(each, "    ")


def _permission(each: Permission, indent: str) -> Iterator[str]:
    yield f"{indent}{one_line(_words(each))}{_place(each.at)}"
    example = each.example
    if example is not None:
        by_token = each.rule is not None and each.rule.jwt is not None
        headers = [
            f"{name}: {value}" for name, value in example.headers if name != "authorization" or not by_token
        ]
        written = "".join(f" -H {shlex.quote(line)}" for line in headers)
        token = ", with such a token" if by_token else ""
        yield f"{indent}  such as {example.method} {one_line(example.url + written)}{token}"
    elif not each.proved:
        yield f"{indent}  perhaps: regular expressions decide"


def _words(each: Permission) -> str:
    text = _ground(each)
    if each.via and each.via not in (each.caller, each.callee):
        text += f"; route `{each.route}` of `{each.via}` leads there"
    elif each.route not in ("", "default"):
        text += f"; by route `{each.route}`"
    return f"{text}; copies only" if each.copy else text


def _ground(each: Permission) -> str:
    from meshctl.simulate import conditions

    asked = "; ".join(conditions(each.rule)) if each.rule is not None else ""
    match each.ground:
        case Ground.RULE:
            return f"a rule allows {asked or 'everything'}"
        case Ground.DECLARED:
            return "the call is declared"
        case Ground.OPEN:
            return "everybody in the mesh is let in"
        case Ground.HEALTH:
            return f"for health checks: {asked}"
        case Ground.AUDIT:
            return "nothing lets it in, but `audit` only notes that"
        case Ground.OUTSIDE:
            return "outside of the mesh, where no rule is asked"
        case Ground.EGRESS:
            return "`egress: allow` lets it call any host"
    assert_never(each.ground)


def _entrances(entrances: Sequence[tuple[str, Entrance]]) -> Iterator[str]:
    for name, each in entrances:
        where = ", ".join(each.binds)
        match each.door:
            case Door.GATEWAY:
                yield f"  {name}: clients of the gateway, at {where}{_place(each.at)}"
            case Door.PLAINTEXT:
                yield f"  {name}: plaintext, at {where}{_place(each.at)}"
            case Door.HEALTH:
                yield f"  {name}: its health path, at {where}{_place(each.at)}"
            case _:
                assert_never(each.door)
        for permission in each.permissions:
            yield from _permission(permission, "    ")


def _place(at: Position | None) -> str:
    return f" [{one_line(at.file)}:{at.line}]" if at is not None else ""
