"""Every setting of a part of the spec with the value that holds, and the place of the layer that said it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from meshctl.diagnostics import Position, UsageError
from meshctl.resolve import gateways
from meshctl.resolve.setting_defaults import (
    ALTERNATIVES,
    CALL,
    CALLEE,
    EXTERNAL,
    GATEWAY,
    MESH,
    OFF_IN_STREAMS,
    OPTIONAL,
    ROUTE,
    SERVICE,
    UNMERGED,
    WHOLE,
)
from meshctl.spec import Source, Spec
from meshctl.spec.source import Node
from meshctl.suggestions import meant


class Setting(Struct, frozen=True):
    """One setting by its path in the spec. No place: it is meshctl's default."""

    name: str
    value: str
    at: Position | None


Table = Mapping[str, str]
"""Settings, each with the text of its default."""


def settings(spec: Spec, path: str) -> tuple[Setting, ...]:
    """What holds at ``path``, such as `services.web`, `services.web.timeout` or `services.web.calls.catalog`.

    Raises UsageError for a path that leads nowhere, and says which one is near.
    """
    rows = _Part(spec.source)
    scope, rest = _walk(spec, path.split("."), rows)
    chosen = tuple(_settings(scope))
    if rest:
        wanted = ".".join(rest)
        found = tuple(each for each in chosen if f"{each.name}.".startswith(f"{wanted}."))
        if not found and wanted in scope.table:
            # A part of what nobody has written: the whole is off.
            found = tuple(each for each in chosen if wanted.startswith(f"{each.name}."))
        if not found:
            raise _nowhere(path, wanted, (each.name for each in chosen))
        return found
    return chosen


class _Scope(Struct, frozen=True):
    """The settings of one kind of part, and the sources that can say them, the most general first."""

    table: Table
    sources: tuple[Source, ...]
    own: tuple[Source, ...] = ()
    """The sources of settings that are not of the traffic policy; all of them where empty."""


class _Part:
    """The raw spec by sections."""

    def __init__(self, source: Source) -> None:
        self.root = source

    def named(self, kind: str, holder: Source, name: str, path: str) -> Source:
        """The part ``name`` of ``holder``, by key or, in a list, by `name`."""
        known = _names(holder.node)
        if name not in known:
            raise UsageError(f"there is no {kind} named `{name}` at `{path}`{meant(name, known)}")
        return holder[known[name]]


def _names(node: Node) -> dict[str, str | int]:
    if isinstance(node, dict):
        return {key: key for key in node}
    if isinstance(node, list):
        return {str(each.get("name")): index for index, each in enumerate(node) if isinstance(each, dict)}
    return {}


def _walk(spec: Spec, keys: list[str], part: _Part) -> tuple[_Scope, list[str]]:
    """The part that the first keys lead to, and the keys that are left."""
    root, path = part.root, ".".join(keys)
    section, *rest = keys
    mesh, defaults = root["mesh"], root["defaults"]
    if section == "mesh":
        return _Scope(MESH, (mesh,)), rest
    if section == "defaults":
        return _Scope(CALLEE, (defaults,)), rest
    kinds = {"services": "service", "externals": "external", "gateways": "gateway"}
    if section not in kinds:
        raise _nowhere(path, section, ("mesh", "defaults", *kinds))
    if not rest:
        raise UsageError(f"name one of them: `{section}.{next(iter(_names(root[section].node)), 'NAME')}`")
    name, *rest = rest
    own = part.named(kinds[section], root[section], name, section)
    if len(rest) == 1 and rest[0] in ("calls", "routes") and _names(own[rest[0]].node):
        raise UsageError(f"name one of them: `{path}.{next(iter(_names(own[rest[0]].node)))}`")
    if rest[:1] == ["calls"] and len(rest) > 1 and section != "externals":
        return _call(part, own, rest[1:], path)
    if section == "externals":
        return _Scope(EXTERNAL, (defaults, own)), rest
    if section == "gateways":
        if rest[:1] == ["routes"] and len(rest) > 1:
            return _gateway_route(spec, part, name, rest[1:], path)
        return _Scope(GATEWAY, (mesh, own)), rest
    if rest[:1] == ["routes"] and len(rest) > 1:
        route = part.named("route", own["routes"], rest[1], path)
        return _Scope(ROUTE, (defaults, own, route)), rest[2:]
    return _Scope(SERVICE, (defaults, own), (mesh, own)), rest


def _call(part: _Part, own: Source, keys: list[str], path: str) -> tuple[_Scope, list[str]]:
    callee, *rest = keys
    call = part.named("call", own["calls"], callee, path)
    section = "services" if callee in _names(part.root["services"].node) else "externals"
    target = part.named("callee", part.root[section], callee, path)
    layers = (part.root["defaults"], target, call)
    if rest[:1] == ["routes"] and len(rest) > 1:
        return _Scope(ROUTE, (*layers, part.named("route", target["routes"], rest[1], path))), rest[2:]
    return _Scope(CALL, layers), rest


def _gateway_route(
    spec: Spec, part: _Part, name: str, keys: list[str], path: str
) -> tuple[_Scope, list[str]]:
    own = part.root["gateways"][name]
    route = part.named("route", own["routes"], keys[0], path)
    gateway = (spec.written.gateways or {})[name]
    written = next(each for each in gateway.routes or () if each.name == keys[0])
    callee = gateways.first_callee(gateway, written)
    between = (part.root["services"][callee], own["calls"][callee]) if callee else ()
    return _Scope(ROUTE, (part.root["defaults"], *between, route)), keys[1:]


def _nowhere(path: str, wanted: str, known: Iterable[str]) -> UsageError:
    names = list(known)
    longer = next((f"; did you mean `{each}`?" for each in names if each.startswith(wanted)), "")
    return UsageError(f"there is no setting `{wanted}` at `{path}`{meant(wanted, names, longer)}")


def _settings(scope: _Scope) -> Iterator[Setting]:
    streaming = _said(scope.sources, "streaming") if "streaming" in scope.table else None
    for name, default in scope.table.items():
        group = name.partition(".")[0]
        sources = scope.own if scope.own and name not in CALLEE else scope.sources
        if group in OPTIONAL and (name == group) is any(group in each for each in sources):
            continue
        found = _said(_counting(sources, name), name)
        if streaming is not None and streaming[0] == "true" and name in OFF_IN_STREAMS:
            yield Setting(name, "off, for it streams", streaming[1])
        elif found is not None:
            yield Setting(name, *found)
        elif default:
            yield Setting(name, default, None)


def _counting(sources: tuple[Source, ...], name: str) -> tuple[Source, ...]:
    """The sources that are looked at for a setting."""
    if name in ALTERNATIVES:
        saying = [
            each
            for each in sources
            if any(it.partition(".")[2] in each["healthCheck"] for it in ALTERNATIVES)
        ]
        return tuple(saying[-1:])
    if name.startswith(UNMERGED):
        return tuple([each for each in sources if UNMERGED in each][-1:])
    return sources


def _said(sources: tuple[Source, ...], name: str) -> tuple[str, Position | None] | None:
    """What the most particular source says of a setting, and where."""
    keys = name.split(".")
    for source in reversed(sources):
        cursor = source
        for key in keys[:-1]:
            cursor = cursor[key]
        if keys[-1] in cursor and (name in WHOLE or not isinstance(cursor[keys[-1]].node, dict)):
            return _text(cursor[keys[-1]].node), cursor.at(keys[-1])
    return None


def _text(node: Node) -> str:
    if isinstance(node, dict):
        return ", ".join(f"{key}: {_nested(each)}" for key, each in node.items()) or "{}"
    if isinstance(node, list):
        return ", ".join(map(_nested, node)) or "[]"
    return "" if node is None else str(node)


def _nested(node: Node) -> str:
    if isinstance(node, dict):
        return f"{{{_text(node)}}}"
    return f"[{_text(node)}]" if isinstance(node, list) else str(node)
