"""Profiles: which rules there are for an occasion, how grave each is, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.spec import Source
from meshctl.spec.mesh import API_VERSION

DEFAULT = "default"
_KEYS = ("apiVersion", "kind", "name", "title", "others", "rules", "groups")


class Group(Struct, frozen=True):
    """Rules that answer one question together; some may be `validate`'s."""

    title: str
    rules: tuple[str, ...]
    at: Position | None


class Profile(Struct, frozen=True):
    """``rules`` are settings as a spec writes them, by slug. Without ``others`` no rule counts that is not named."""

    name: str
    title: str
    others: bool
    rules: Mapping[str, Mapping[str, object]]
    groups: tuple[Group, ...]
    source: Source
    """The place of ``rules``."""

    def has(self, slug: str) -> bool:
        """Whether a rule counts, unless its severity is `off`."""
        return self.others or slug in self.rules or any(slug in each.rules for each in self.groups)


def read_profile(source: Source, top: Position) -> tuple[Profile | None, tuple[Finding, ...]]:
    """The profile in a file, or its faults."""
    faults = tuple(_faults(source, top))
    if faults:
        return None, faults
    node = source.node
    groups = tuple(
        Group(each["title"], tuple(each["rules"]), source["groups"].at(index))
        for index, each in enumerate(node.get("groups", ()))
    )
    others = node.get("others", "on") == "on"
    profile = Profile(node["name"], node["title"], others, node.get("rules", {}), groups, source["rules"])
    return profile, ()


def _faults(source: Source, top: Position) -> list[Finding]:
    node = source.node
    found = [
        finding("policy-invalid", source.at(key), f"`{key}` is not a key of a profile")
        for key in node
        if key not in _KEYS
    ]
    if node.get("apiVersion") != API_VERSION:
        found.append(
            finding("policy-invalid", source.at("apiVersion") or top, f"`apiVersion` must be `{API_VERSION}`")
        )
    found += [
        finding("policy-invalid", source.at(key) or top, f"`{key}` must be text")
        for key in ("name", "title")
        if not isinstance(node.get(key), str)
    ]
    if node.get("others", "on") not in ("on", "off"):
        found.append(finding("policy-invalid", source.at("others"), "`others` must be on or off"))
    rules = node.get("rules", {})
    if not isinstance(rules, dict) or not all(isinstance(each, dict) for each in rules.values()):
        found.append(
            finding("policy-invalid", source.at("rules"), "`rules` must be settings by the names of rules")
        )
    groups = node.get("groups", [])
    if not isinstance(groups, list) or not all(map(_is_group, groups)):
        found.append(
            finding("policy-invalid", source.at("groups"), "`groups` must be a list of {title, rules}")
        )
    return found


def _is_group(node: object) -> bool:
    if not isinstance(node, dict) or set(node) != {"title", "rules"} or not isinstance(node["title"], str):
        return False
    rules = node["rules"]
    return isinstance(rules, list) and all(isinstance(each, str) for each in rules)
