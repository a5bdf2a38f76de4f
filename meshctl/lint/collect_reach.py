"""The facts about who is let in, from what is known of it."""

from __future__ import annotations

from msgspec.structs import replace

from meshctl.ir.reachability import Door, Ground, Permission, Reachability
from meshctl.lint.facts import World


def with_reach(world: World, reach: Reachability) -> World:
    """``world`` with who is let in; health checks are no way in."""
    permitted = {
        callee: tuple(caller for caller, found in callers.items() if any(map(_counts, found)))
        for callee, callers in reach.permissions.items()
    }
    doors = tuple(
        name
        for name, entrances in sorted(reach.entrances.items())
        if any(each.door is Door.PLAINTEXT and any(map(_counts, each.permissions)) for each in entrances)
    )
    return replace(world, permitted=permitted, doors=doors)


def _counts(permission: Permission) -> bool:
    return permission.ground is not Ground.HEALTH
