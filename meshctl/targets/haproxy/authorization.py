"""Who is let in: callers by their whole subject, and what they may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshctl import ir
from meshctl.targets.haproxy import jwt, matching, quoting
from meshctl.targets.haproxy.model import Access, AccessRule, Criterion
from meshctl.targets.haproxy.quoting import Token


def access(authorization: ir.Authorization, *, limited: bool = False) -> Access:
    """The rules in the order of asking; the first that holds decides. None: everybody is refused.

    Where calls are ``limited`` the verdict tells who is exempt from that.
    """
    plain = not authorization.exempt and not authorization.deny and not authorization.audit
    if plain and all(_names_callers_only(rule) for rule in authorization.rules):
        callers = tuple(each.distinguished_name for rule in authorization.rules for each in rule.principals)
        return Access(by_rules=False, callers=quoting.word_lists(callers), rules=(), audit=False)
    issuers = authorization.issuers
    rules = (
        *_rules("exempt", Token("exempt" if limited else "allowed"), authorization.exempt, issuers),
        *_rules("deny", Token("denied"), authorization.deny, issuers),
        *_rules("allow", Token("allowed"), authorization.rules, issuers),
        *_challenges(authorization),
    )
    return Access(by_rules=True, callers=(), rules=rules, audit=authorization.audit)


def identity_prefix(identity: ir.WorkloadIdentity) -> Token:
    """What stands before a caller's name in the identity header."""
    return quoting.literal_format(f"spiffe://{identity.trust_domain}/")


def _names_callers_only(rule: ir.AuthorizationRule) -> bool:
    return not (rule.anyone or rule.methods or rule.paths or rule.headers or rule.jwt)


def _rules(
    kind: str, verdict: Token, rules: tuple[ir.AuthorizationRule, ...], issuers: tuple[ir.JwtIssuer, ...]
) -> Iterator[AccessRule]:
    for number, rule in enumerate(rules, start=1):
        # A rule that names nobody holds for nobody.
        if rule.anyone or rule.principals:
            prefix = f"{kind}{number}"
            criteria = [*_criteria(prefix, rule, strictly=verdict == "denied")]
            if rule.jwt is not None:
                criteria += [jwt.is_good(rule.jwt, issuers), *jwt.claims(prefix, rule.jwt)]
            yield AccessRule(verdict, tuple(criteria), _names(criteria))


def _challenges(authorization: ir.Authorization) -> Iterator[AccessRule]:
    """Behind all others: whom a better token could let in."""
    for number, rule in enumerate(authorization.challenges, start=1):
        if rule.jwt is not None:
            criteria = [*_criteria(f"challenge{number}", rule, strictly=False)]
            good = jwt.is_good(rule.jwt, authorization.issuers)
            names = (*_names(criteria), Token(f"!{good.name}"))
            yield AccessRule(Token("challenged"), (*criteria, good), names)


def _names(criteria: Iterable[Criterion]) -> tuple[Token, ...]:
    return tuple(dict.fromkeys(each.name for each in criteria))


def _criteria(prefix: str, rule: ir.AuthorizationRule, *, strictly: bool) -> Iterator[Criterion]:
    if not rule.anyone:
        subjects = quoting.word_lists(tuple(each.distinguished_name for each in rule.principals))
        yield Criterion(quoting.name(f"{prefix}.caller"), Token("var(sess.subject) -m str"), subjects)
    yield from matching.methods(f"{prefix}.method", rule.methods)
    if not any(path.takes_everything for path in rule.paths):
        yield from matching.paths(f"{prefix}.path", rule.paths, strictly=strictly)
    yield from matching.headers(prefix, rule.headers, strictly=strictly)
