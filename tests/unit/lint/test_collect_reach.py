"""Who counts as let in, for the rules."""

from __future__ import annotations

import ast

import pytest

from meshctl.ir.reachability import Door, Entrance, Ground, Permission, Reachability
from meshctl.lint import collect_reach
from meshctl.lint.facts import MeshFacts, World
from tests.unit.lint.mutation import mutants
from tests.unit.lint.variants import path_of, variant

NAME = collect_reach.__name__
BY_RULE, FOR_HEALTH = (Permission("a", "b", each) for each in (Ground.RULE, Ground.HEALTH))
REACH = Reachability(
    permissions={
        "vault": {"web": (BY_RULE, FOR_HEALTH), "checker": (FOR_HEALTH,), "api": (BY_RULE,)},
        "up": {"checker": (FOR_HEALTH,)},
    },
    entrances={
        "web": (Entrance(Door.PLAINTEXT, (), (BY_RULE,)), Entrance(Door.HEALTH, ())),
        "edge": (Entrance(Door.GATEWAY, (), (BY_RULE,)),),
        "api": (Entrance(Door.PLAINTEXT, (), (FOR_HEALTH, BY_RULE)),),
        "checked": (Entrance(Door.PLAINTEXT, (), (FOR_HEALTH,)),),
        "healthy": (Entrance(Door.HEALTH, (), (BY_RULE,)),),
    },
)
KNOWN = ({"vault": ("web", "api"), "up": ()}, ("api", "web"))


def known(module) -> object:
    world = module.with_reach(World(MeshFacts(), {}), REACH)
    return world.permitted, world.doors


def test_health_checks_are_no_way_in():
    assert known(collect_reach) == KNOWN


@pytest.mark.parametrize("tree", [each.tree for each in mutants(path_of(NAME).read_text("utf-8"))])
def test_whatever_is_changed_in_it_is_noticed(tree: ast.Module):
    assert known(variant([NAME], {NAME: tree})[NAME]) != KNOWN
