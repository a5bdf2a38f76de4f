"""Who can reach a service, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshctl.diagnostics import Position
    from meshctl.ir import AuthorizationRule
    from meshctl.ir.reachability import Entrance, Example, Permission
    from meshctl.pipeline import Reached

SCHEMA_VERSION = 1


def document(found: Reached) -> dict[str, object]:
    """What `schemas/reach.schema.json` describes."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "target": found.target,
        "kind": found.section.removesuffix("s"),
        "ways": [list(each) for each in found.ways],
        "moreWays": found.more,
        "calls": [_permission(each) for each in found.permissions],
        "allowedWithoutCall": [_permission(each) for each in found.uncalled],
        "callsWithoutGrant": [
            {"caller": each.caller, "callee": each.callee, "at": _at(each.at)} for each in found.unpermitted
        ],
        "entrances": [_entrance(name, each) for name, each in found.entrances],
    }


def _permission(each: Permission) -> dict[str, object]:
    return {
        "caller": each.caller,
        "callee": each.callee,
        "ground": each.ground.value,
        "conditions": _conditions(each.rule),
        "routeOf": each.via,
        "route": each.route,
        "copy": each.copy,
        "proved": each.proved,
        "example": example(each),
        "at": _at(each.at),
    }


def _conditions(rule: AuthorizationRule | None) -> dict[str, object] | None:
    if rule is None:
        return None
    return {
        "methods": list(rule.methods),
        "paths": [{"kind": each.kind.value, "value": each.value} for each in rule.paths],
        "headers": [
            {"name": each.name, "kind": each.kind.value, "value": each.value} for each in rule.headers
        ],
        "token": None
        if rule.jwt is None
        else {"issuer": rule.jwt.issuer, "claims": {each.name: each.value for each in rule.jwt.claims}},
    }


def example(permission: Permission) -> dict[str, object] | None:
    """A request that comes through; null where none is known."""
    found: Example | None = permission.example
    if found is None:
        return None
    lines = [list(each) for each in found.headers if each[0] != "authorization" or not _by_token(permission)]
    return {"method": found.method, "url": found.url, "headers": lines}


def _by_token(permission: Permission) -> bool:
    return permission.rule is not None and permission.rule.jwt is not None


def _entrance(name: str, each: Entrance) -> dict[str, object]:
    return {
        "of": name,
        "door": each.door.value,
        "addresses": list(each.binds),
        "permissions": [_permission(one) for one in each.permissions],
        "at": _at(each.at),
    }


def _at(at: Position | None) -> dict[str, object] | None:
    return None if at is None else {"file": at.file, "line": at.line, "column": at.column}
