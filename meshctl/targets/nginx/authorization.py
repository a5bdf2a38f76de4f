"""Who is let in, and what the application is told about them."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS
from meshctl.targets.nginx import matching, mtls, quoting
from meshctl.targets.nginx.matching import Condition
from meshctl.targets.nginx.model import Caller, Decision, Decisions, Plaintext
from meshctl.targets.nginx.quoting import Token

_NOBODY_CAN_TELL = quoting.map_regex("^[^ ]+ [^ ]+ [^ ]*,fault,")
"""A condition whose expression was given up: whatever it was for, the request is refused."""


def by_name(authorization: ir.Authorization) -> bool:
    """Whether the caller's name alone decides, so that it only has to be looked up."""
    return not (authorization.exempt or authorization.deny or authorization.audit) and not any(
        rule.anyone or rule.unauthenticated or rule.methods or rule.paths or rule.headers
        for rule in authorization.rules
    )


def callers(authorization: ir.Authorization) -> tuple[Caller, ...]:
    """Who may call. None: nobody may. The trust domain is checked before, see :mod:`mtls`."""
    if not by_name(authorization):
        return ()
    allowed = dict.fromkeys(each for rule in authorization.rules for each in rule.principals)
    return tuple(Caller(quoting.map_key(each.service), quoting.value(each.spiffe_id)) for each in allowed)


def decisions(
    authorization: ir.Authorization,
    identity: ir.WorkloadIdentity,
    *,
    marks_exempt: bool,
    takes_plaintext: bool,
) -> Decisions | None:
    """One ordered map, the first rule that holds decides; None where names alone do.

    Its key: the caller, the method, the conditions that hold, the path. No rule, or one that could not be
    tried: refused. With ``marks_exempt`` what is exempt can be told from what is allowed.
    """
    if by_name(authorization):
        return None
    ordered = [
        *((rule, "exempt" if marks_exempt else "1") for rule in authorization.exempt),
        *((rule, "0") for rule in authorization.deny),
        *((rule, "1") for rule in authorization.rules),
    ]
    numbers = matching.numbered(header for rule, _ in ordered for header in rule.headers)
    conditions = matching.conditions(0, numbers)
    holding = conditions.variable if conditions else "-"
    return Decisions(
        identity=quoting.value_before(f"spiffe://{identity.trust_domain}/", "peer"),
        conditions=(conditions,) if conditions else (),
        key=Token(f'"$peer $request_method {holding} $canonical_path"'),
        rules=(
            *((Decision(_NOBODY_CAN_TELL, Token("0")),) if conditions else ()),
            *(
                Decision(pattern, Token(verdict))
                for rule, verdict in ordered
                for pattern in _patterns(rule, numbers, takes_plaintext=takes_plaintext)
            ),
        ),
        audit=authorization.audit,
    )


def _patterns(
    rule: ir.AuthorizationRule, numbers: dict[Condition, int], *, takes_plaintext: bool
) -> Iterator[Token]:
    if not (rule.anyone or rule.unauthenticated or rule.principals):
        return
    words = f"^{_callers(rule, takes_plaintext=takes_plaintext)} {matching.method(rule.methods)} {matching.holding(rule.headers, numbers)} "
    for path in rule.paths or (ir.PathMatch(ir.PathMatchKind.PREFIX, "/"),):
        yield quoting.map_pattern(words + matching.path(path))


def _callers(rule: ir.AuthorizationRule, *, takes_plaintext: bool) -> str:
    if rule.anyone:
        return "[^ ]+" if rule.unauthenticated or not takes_plaintext else f"(?!{mtls.NOBODY} )[^ ]+"
    names = [each.service for each in rule.principals]
    names += [mtls.NOBODY] if rule.unauthenticated else []
    return f"(?:{'|'.join(map(quoting.literal_regex, names))})"


def plaintext(listener: ir.InboundListener, decided: Decisions | None) -> Plaintext | None:
    """None where nobody comes in without a certificate."""
    if listener.mtls is ir.MtlsMode.STRICT:
        return None
    limit = listener.rate_limit if decided is not None else None
    others = None
    if limit is not None and decided is not None:
        others = decided.identity if limit.by_caller else quoting.value("everybody")
    return Plaintext(
        nobody=quoting.word(mtls.NOBODY),
        told=quoting.word("$told_identity" if others else "$caller_identity"),
        buckets=others,
    )


def identity_header() -> Token:
    """The header that names the caller."""
    return quoting.value(IDENTITY_HEADER)


def untrusted_headers() -> tuple[Token, ...]:
    """What is taken from a caller's request, in all spellings; as keys of a table in Lua."""
    return tuple(quoting.lua_string(header) for header in UNTRUSTED_HEADERS)
