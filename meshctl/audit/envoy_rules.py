"""Envoy's rules of who may do what, held against those of the model one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import orjson

from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import Authorization, AuthorizationRule

Message = dict[str, Any]

_ANY = [{"any": True}]


def allowing(policies: Message, asked: Authorization) -> Iterator[Violation]:
    """A policy for each service that may call, and in it what each rule about it says."""
    wanted: dict[str, list[tuple[AuthorizationRule, frozenset[str]]]] = {}
    for rule in (*asked.exempt, *asked.rules):
        if rule.anyone:
            wanted.setdefault("*", []).append((rule, frozenset()))
            continue
        for each in rule.principals:
            wanted.setdefault(each.service, []).append((rule, frozenset((each.spiffe_id,))))
    if policies.keys() != wanted.keys():
        yield _wrong(f"{sorted(policies)} may call")
    for name, rules in wanted.items():
        yield from _policy(name, policies.get(name, {}), rules)


def denying(policies: Message, asked: Authorization) -> Iterator[Violation]:
    """One policy: what any rule denies, and none exempts."""
    denied = policies.get("denied", {})
    (principal,) = denied.get("principals") or [{}]
    if asked.exempt:
        principal, exempt = principal.get("and_ids", {}).get("ids", [{}, {}])
        yield from _rules("exempt", _either(exempt.get("not_id", {}), len(asked.exempt)), asked.exempt)
    if policies.keys() != {"denied"} or denied.get("permissions") != _ANY:
        yield _wrong("not everything that is denied is refused")
    yield from _rules("denied", _either(principal, len(asked.deny)), asked.deny)


def _rules(name: str, principals: list[Message], rules: tuple[AuthorizationRule, ...]) -> Iterator[Violation]:
    wanted = [(rule, frozenset(each.spiffe_id for each in _named(rule))) for rule in rules]
    yield from _policy(name, {"permissions": _ANY, "principals": principals}, wanted)


def _named(rule: AuthorizationRule) -> Iterable[Any]:
    return () if rule.anyone else rule.principals


def _either(principal: Message, count: int) -> list[Message]:
    return principal.get("or_ids", {}).get("ids", []) if count > 1 else [principal]


def _policy(
    name: str, policy: Message, rules: list[tuple[AuthorizationRule, frozenset[str]]]
) -> Iterator[Violation]:
    if policy.get("permissions") != _ANY:
        yield _wrong(f"{name}: {policy.get('permissions')}")
    for principal, rule in zip_longest(policy.get("principals", ()), rules):
        if principal is None or rule is None or not _says(principal, *rule):
            yield _wrong(f"{name}: its rules are others")


def _says(principal: Message, rule: AuthorizationRule, names: frozenset[str]) -> bool:
    """Whether it begins with whom the rule is about, and has at least its conditions."""
    who, *conditions = principal.get("and_ids", {}).get("ids", [principal])
    if {*_exact(who)} != names or any("any" in each for each in conditions):
        return False
    if not names and not rule.anyone and "not_id" not in who:
        return False
    text = orjson.dumps(conditions).decode()
    paths = 0 if any(each.takes_everything for each in rule.paths) else len(rule.paths)
    return (
        len(conditions) >= bool(rule.methods) + bool(rule.paths) + len(rule.headers) + bool(rule.jwt)
        and all(method in text for method in rule.methods if method.isalnum())
        and text.count('"url_path"') >= paths
    )


def _exact(who: Message) -> Iterator[str]:
    for each in who.get("or_ids", {}).get("ids", [who]):
        name = each.get("authenticated", {}).get("principal_name", {})
        if "exact" in name:
            yield name["exact"]


def _wrong(what: str) -> Violation:
    return Violation(Invariant.DEFAULT_DENY, "inbound", what)
