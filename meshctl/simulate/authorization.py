"""Whether a callee lets a caller in, and which rule says so."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from meshctl.ir import AuthorizationMode, AuthorizationRule, InboundListener, WorkloadIdentity
from meshctl.simulate import jwt
from meshctl.simulate.matching import headers_unmet, path_words, takes_headers, takes_path, value_words
from meshctl.simulate.message import Request
from meshctl.simulate.steps import Step, Topic

Caller = WorkloadIdentity | None
"""None: somebody without a certificate."""


class Verdict(StrEnum):
    """How authorization ends. NO_RULE and NO_TOKEN refuse; by NO_TOKEN a good one could change that."""

    EXEMPT = "exempt"
    DENIED = "denied"
    ALLOWED = "allowed"
    NO_RULE = "no rule"
    NO_TOKEN = "no token"  # noqa: S105 - a word, no secret


class Decision(Struct, frozen=True):
    """A verdict and the rule behind it."""

    verdict: Verdict
    rule: AuthorizationRule | None = None


def decide(inbound: InboundListener, caller: Caller, request: Request | None) -> Decision:
    """Exempt, deny, allow, and else refused. A TCP connection has no ``request``."""
    its = inbound.authorization
    for verdict, rules in (
        (Verdict.EXEMPT, its.exempt),
        (Verdict.DENIED, its.deny),
        (Verdict.ALLOWED, its.rules),
    ):
        for rule in rules:
            if not _unmet(inbound, rule, caller, request):
                return Decision(verdict, rule)
    challenges = (each for each in its.challenges if not _unmet_but_token(each, caller, request))
    if request is not None and any(not jwt.is_good(inbound, each, request) for each in challenges):
        return Decision(Verdict.NO_TOKEN)
    return Decision(Verdict.NO_RULE)


def exempts(inbound: InboundListener, caller: Caller, request: Request | None) -> bool:
    """Whether it is a health check, which rules and limits let through."""
    return decide(inbound, caller, request).verdict is Verdict.EXEMPT


def refuses(inbound: InboundListener, caller: Caller, request: Request | None) -> bool:
    """Whether nothing lets it in, or a rule keeps it out."""
    return refusal(inbound, caller, request) is not None


def refusal(inbound: InboundListener, caller: Caller, request: Request | None) -> int | None:
    """The status of who is refused; None for who is let in."""
    match decide(inbound, caller, request).verdict:
        case Verdict.NO_TOKEN:
            return 401
        case Verdict.DENIED | Verdict.NO_RULE:
            return 403
        case Verdict.EXEMPT | Verdict.ALLOWED:
            return None


def told(
    callee: str, inbound: InboundListener, caller: Caller, request: Request, call: tuple[str, ...]
) -> Iterator[Step]:
    """Who decided and how; ``call`` is the part of the spec that declares the call."""
    its = inbound.authorization
    decision = decide(inbound, caller, request)
    rule = decision.rule
    status = refusal(inbound, caller, request)
    noted = ", but `audit` lets it pass and notes it" if its.audit else f": {status}"
    if decision.verdict in (Verdict.NO_RULE, Verdict.NO_TOKEN):
        for each in its.rules:
            why = f"no: {_unmet(inbound, each, caller, request)}"
            yield Step(Topic.AUTHORIZATION, why, each.at, passed_over=True)
        text = f"nothing lets {named(caller)} do this to `{callee}`{noted}"
        yield Step(Topic.AUTHORIZATION, text, its.at)
    elif rule is None or decision.verdict is Verdict.EXEMPT:
        text = f"{named(caller)} may always ask for the health of `{callee}`"
        yield Step(Topic.AUTHORIZATION, text, path=("services", callee, "healthPath"))
    elif decision.verdict is Verdict.DENIED:
        yield Step(Topic.AUTHORIZATION, f"a deny rule refuses ({_words(rule)}){noted}", rule.at)
    elif rule.at is not None:
        yield Step(Topic.AUTHORIZATION, f"an allow rule lets {named(caller)} in ({_words(rule)})", rule.at)
        if rule.jwt is not None:
            text = "the token is taken at its word: neither its signature nor its times are verified here"
            yield Step(Topic.AUTHORIZATION, text, rule.jwt.at)
    elif its.mode is AuthorizationMode.DECLARED:
        text = f"{named(caller)} is let in, for its call is declared"
        yield Step(Topic.AUTHORIZATION, text, path=call)
    else:
        who = "everybody who reaches it" if rule.unauthenticated else "everybody in the mesh"
        yield Step(Topic.AUTHORIZATION, f"{who} is let in", its.at)


def named(caller: Caller) -> str:
    """A caller in a sentence."""
    return f"`{caller.service}`" if caller is not None else "a caller without a certificate"


def _words(rule: AuthorizationRule) -> str:
    callers = [f"`{each.service}`" for each in rule.principals]
    if rule.unauthenticated and not rule.anyone:
        callers.append("callers without a certificate")
    who = "from everybody" if rule.anyone else f"from {', '.join(callers)}"
    return "; ".join((who, *conditions(rule)))


def conditions(rule: AuthorizationRule) -> tuple[str, ...]:
    """What a rule asks of a request, in words; nothing where it takes every one."""
    parts = (
        ", ".join(rule.methods),
        " or ".join(map(path_words, rule.paths)),
        " and ".join(f"header {value_words(each)}" for each in rule.headers),
        f"token of `{rule.jwt.issuer}`" if rule.jwt is not None else "",
        " and ".join(f"claim {each.name}: {each.value}" for each in rule.jwt.claims) if rule.jwt else "",
    )
    return tuple(each for each in parts if each)


def _unmet(inbound: InboundListener, rule: AuthorizationRule, caller: Caller, request: Request | None) -> str:
    """The first part of a rule that does not hold, in words; empty where all do."""
    if request is None:
        return _unmet_but_token(rule, caller, request)
    return _unmet_but_token(rule, caller, request) or jwt.unmet(inbound, rule, request)


def _unmet_but_token(rule: AuthorizationRule, caller: Caller, request: Request | None) -> str:
    meant = rule.unauthenticated if caller is None else rule.anyone or caller in rule.principals
    if not meant:
        return f"the rule is not about {named(caller)}"
    if request is None:
        return ""
    if rule.methods and request.method not in rule.methods:
        return f"the method is not {' or '.join(rule.methods)}"
    if rule.paths and not any(takes_path(each, request.path) for each in rule.paths):
        return f"the path is not one of: {', '.join(map(path_words, rule.paths))}"
    failing = (each for each in rule.headers if not takes_headers(each, request.headers))
    return next((headers_unmet(each, request.headers) for each in failing), "")
