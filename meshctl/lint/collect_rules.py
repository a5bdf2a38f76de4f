"""The facts about rules of authorization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.lint.collect_routes import value_text
from meshctl.lint.facts import RuleFacts
from meshctl.spec import Source, Spec
from meshctl.spec.authorization import ANYONE


def rules(sidecars: Mapping[str, ir.Sidecar], spec: Spec) -> Iterator[RuleFacts]:
    """Every rule of every service; those that differ only in callers are one, at the place of the first."""
    for name in sorted(spec.written.services or {}):
        inbound = sidecars[name].inbound
        if inbound is None:
            continue
        source = spec.source["services"][name]
        places = _places(source)
        for effect, some in (("allow", inbound.authorization.rules), ("deny", inbound.authorization.deny)):
            for each in some:
                # What nobody has written is told at the rules that stand against it.
                default = source["deny"] if inbound.authorization.deny else source
                yield _rule(name, effect, each, places.get(each.at, default))


def _places(source: Source) -> dict[Position | None, Source]:
    """Where each rule is written."""
    found: dict[Position | None, Source] = {}
    for key in ("allow", "deny"):
        written = source[key]
        for index, _ in enumerate(written.node if isinstance(written.node, list) else ()):
            found[written[index].here] = written[index]
    found.pop(None, None)
    return found


def _rule(service: str, effect: str, rule: ir.AuthorizationRule, source: Source) -> RuleFacts:
    return RuleFacts(
        service=service,
        effect=effect,
        written=rule.at is not None,
        callers=(
            *((ANYONE,) if rule.anyone else ()),
            *(each.service for each in rule.principals),
            *((UNAUTHENTICATED,) if rule.unauthenticated else ()),
        ),
        methods=rule.methods,
        paths=tuple(f"{each.kind} {each.value}" for each in rule.paths),
        headers={each.name: value_text(each) for each in rule.headers},
        jwt=rule.jwt.issuer if rule.jwt is not None else "",
        claims={each.name: each.value for each in rule.jwt.claims} if rule.jwt is not None else {},
        source=source,
    )
