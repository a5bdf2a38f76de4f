"""Who is let in: callers by their whole subject, and what they may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshctl import ir
from meshctl.targets.haproxy import jwt, matching, quoting
from meshctl.targets.haproxy.model import Access, AccessRule, Criterion
from meshctl.targets.haproxy.quoting import Token

NOBODY = "unauthenticated"
"""In the place of a subject, which begins with CN=: the caller has no certificate."""


def access(
    authorization: ir.Authorization, *, limited: bool = False, takes_plaintext: bool = False
) -> Access:
    """The rules in the order of asking; the first that holds decides. None: everybody is refused.

    Where calls are ``limited`` the verdict tells who is exempt from that.
    """
    plain = not authorization.exempt and not authorization.deny and not authorization.audit
    if plain and all(_names_callers_only(rule) for rule in authorization.rules):
        callers = tuple(each for rule in authorization.rules for each in _subjects(rule))
        return Access(by_rules=False, callers=quoting.word_lists(callers), rules=(), audit=False)
    exempted = Token("exempt" if limited else "allowed")
    rules = (
        *(
            rule
            for kind, verdict, written in (
                ("exempt", exempted, authorization.exempt),
                ("deny", Token("denied"), authorization.deny),
                ("allow", Token("allowed"), authorization.rules),
            )
            for rule in _rules(kind, verdict, written, authorization.issuers, takes_plaintext=takes_plaintext)
        ),
        *_challenges(authorization, takes_plaintext=takes_plaintext),
    )
    return Access(by_rules=True, callers=(), rules=rules, audit=authorization.audit)


def identity_prefix(identity: ir.WorkloadIdentity) -> Token:
    """What stands before a caller's name in the identity header."""
    return quoting.literal_format(f"spiffe://{identity.trust_domain}/")


def _names_callers_only(rule: ir.AuthorizationRule) -> bool:
    return not (rule.anyone or rule.methods or rule.paths or rule.headers or rule.jwt)


def _subjects(rule: ir.AuthorizationRule) -> tuple[str, ...]:
    known = tuple(each.distinguished_name for each in rule.principals)
    return (*known, NOBODY) if rule.unauthenticated else known


def _rules(
    kind: str,
    verdict: Token,
    rules: tuple[ir.AuthorizationRule, ...],
    issuers: tuple[ir.JwtIssuer, ...],
    *,
    takes_plaintext: bool,
) -> Iterator[AccessRule]:
    for number, rule in enumerate(rules, start=1):
        # A rule that names nobody holds for nobody.
        if rule.anyone or rule.unauthenticated or rule.principals:
            prefix = f"{kind}{number}"
            criteria = [
                *_callers(prefix, rule, takes_plaintext=takes_plaintext),
                *_criteria(prefix, rule, strictly=verdict == "denied"),
            ]
            if rule.jwt is not None:
                criteria += [jwt.is_good(rule.jwt, issuers), *jwt.claims(prefix, rule.jwt)]
            yield AccessRule(verdict, tuple(criteria), _names(criteria))


def _challenges(authorization: ir.Authorization, *, takes_plaintext: bool) -> Iterator[AccessRule]:
    """Behind all others: whom a better token could let in."""
    for number, rule in enumerate(authorization.challenges, start=1):
        if rule.jwt is not None:
            prefix = f"challenge{number}"
            criteria = [
                *_callers(prefix, rule, takes_plaintext=takes_plaintext),
                *_criteria(prefix, rule, strictly=False),
            ]
            good = jwt.is_good(rule.jwt, authorization.issuers)
            names = (*_names(criteria), Token(f"!{good.name}"))
            yield AccessRule(Token("challenged"), (*criteria, good), names)


def _names(criteria: Iterable[Criterion]) -> tuple[Token, ...]:
    return tuple(dict.fromkeys(each.name for each in criteria))


def _callers(prefix: str, rule: ir.AuthorizationRule, *, takes_plaintext: bool) -> Iterator[Criterion]:
    name = quoting.name(f"{prefix}.caller")
    if not rule.anyone:
        yield Criterion(name, Token("var(sess.subject) -m str"), quoting.word_lists(_subjects(rule)))
    elif takes_plaintext and not rule.unauthenticated:
        yield Criterion(name, Token("var(sess.subject) -m beg"), (quoting.word("CN="),))


def _criteria(prefix: str, rule: ir.AuthorizationRule, *, strictly: bool) -> Iterator[Criterion]:
    yield from matching.methods(f"{prefix}.method", rule.methods)
    if not any(path.takes_everything for path in rule.paths):
        yield from matching.paths(f"{prefix}.path", rule.paths, strictly=strictly)
    yield from matching.headers(prefix, rule.headers, strictly=strictly)
