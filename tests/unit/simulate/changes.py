"""Pairs of meshes, and all that is said of whom the change from one to the other lets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from msgspec.structs import replace

from meshctl.ir import Mesh, MtlsMode
from meshctl.ir.change import Narrowed, Opened
from meshctl.resolve import resolve
from tests.behaviour.world import KEY_SETS
from tests.unit.resolve.specs import read

CHANGES = Path(__file__).parent / "reach_changes.yaml"
_FILES = {"keys/idp.json": (KEY_SETS / "idp.json").read_bytes()}
ReachChange = Callable[[Mesh, Mesh, tuple[str, ...]], tuple[tuple[Opened, ...], tuple[tuple[str, str], ...]]]
Narrowing = Callable[[Mesh, Mesh, tuple[tuple[str, str], ...], tuple[str, ...]], tuple[Narrowed, ...]]
Says = tuple[ReachChange, Narrowing]
Change = tuple[Mesh, Mesh, tuple[str, ...]]


def changes(folder: Path) -> dict[str, Change]:
    """Each case with the services to look at, there and back."""
    found: dict[str, Change] = {}
    for case in yaml.safe_load(CHANGES.read_text("utf-8")):
        before, after = (_mesh(folder, case, side) for side in ("before", "after"))
        names = tuple(each.service for each in (*before.sidecars, *after.sidecars))
        names = tuple(case.get("changed", dict.fromkeys(names)))
        found[case["name"]] = (before, after, names)
        found[f"{case['name']}, back"] = (after, before, names)
    return found


def _mesh(folder: Path, case: Mapping[str, Mapping[str, str]], side: str) -> Mesh:
    """A spec may leave out what no case is about; `strict` are those that hear no caller without a certificate."""
    services = "".join(
        f"  {name}: {{port: 80, endpoints: [{{address: 10.0.0.{number}}}], {rest}}}\n"
        for number, (name, rest) in enumerate(case[side].items(), 1)
        if name not in ("mesh", "rest", "strict")
    )
    mesh = f", {case[side]['mesh']}" if "mesh" in case[side] else ""
    text = f"services:\n{services}{case[side].get('rest', '')}\n"
    resolution = resolve(replace(read(folder, text, mesh), files=_FILES))
    assert resolution.mesh is not None, (case["name"], side, resolution.findings)
    strict = case[side].get("strict", "")
    return replace(
        resolution.mesh,
        sidecars=tuple(
            replace(each, inbound=replace(each.inbound, mtls=MtlsMode.STRICT))
            if each.service == strict and each.inbound is not None
            else each
            for each in resolution.mesh.sidecars
        ),
    )


def said(says: Says, change: Change) -> list[str]:
    """One line for each thing that is opened, with its place and ground, for each that is narrowed, and for each pair that is
    closed.
    """
    reach_change, narrowing = says
    opened, closed = reach_change(*change)
    before, after, names = change
    return [
        *map(_line, opened),
        *(_narrowed(each) for each in narrowing(before, after, closed, names)),
        *(f"{caller} -> {callee} is closed" for caller, callee in closed),
    ]


def _narrowed(each: Narrowed) -> str:
    stream = ", stream" if each.permission.stream else ""
    return f"{each.permission.ground}{stream}: {each.words}"


def _line(each: Opened) -> str:
    its = each.permission
    where = " ".join(its.path) or (f"{its.at.line}:{its.at.column}" if its.at else "nowhere")
    shape = "".join(f", {name}" for name in ("stream", "copy") if getattr(its, name))
    called = "" if each.called else ", not called"
    lines = its.example.headers if its.example is not None else ()
    token = ", token" if any(value.startswith("Bearer ") for _, value in lines) else ""
    return f"{its.ground} at {where}{shape}{called}{token}: {each.words}"


def told(says: Says, every: Mapping[str, Change]) -> Iterator[tuple[str, list[str]]]:
    """What is said of each."""
    for name, change in every.items():
        yield name, said(says, change)
