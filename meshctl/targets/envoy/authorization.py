"""Who may call this service, and what its application is told about the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import chain

from meshctl.ir import (
    Authorization,
    AuthorizationRule,
    HeaderMatch,
    JwtIssuer,
    ValueMatchKind,
    WorkloadIdentity,
)
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS
from meshctl.targets.envoy import jwt, matching, mtls
from meshctl.targets.envoy.matching import HeaderTable
from meshctl.targets.envoy.protobuf import Message, regex_literal, typed

METADATA = "envoy.filters.http.rbac"
"""Where the filters leave what they found."""

_ALLOWING = "authorization_"
_DENYING = "denial_"
_EXEMPTING = "exemption_"
_CHALLENGING = "challenge_"


def caller_key(authorization: Authorization) -> str:
    """The key under which the service name of an allowed caller is found; empty where it is not told."""
    if any(rule.anyone for rule in _allowing(authorization)):
        return ""
    return f"{_ALLOWING}{'shadow' if authorization.audit else 'enforced'}_effective_policy_id"


def audited_keys(authorization: Authorization) -> tuple[str, ...]:
    """The keys under which a filter would say ``denied`` of what passes all the same."""
    if not authorization.audit:
        return ()
    prefixes = (_DENYING, _ALLOWING) if authorization.deny else (_ALLOWING,)
    return tuple(f"{prefix}shadow_engine_result" for prefix in prefixes)


def header_conditions(authorization: Authorization) -> Iterable[HeaderMatch]:
    """Every condition on headers, in order."""
    rules = chain(authorization.exempt, authorization.deny, authorization.rules)
    return (header for rule in rules for header in rule.headers)


def http_filters(authorization: Authorization, trust_domain: str, headers: HeaderTable) -> list[Message]:
    """What is denied and not exempt goes first; then what no rule allows. Refused is 403."""
    filters = []
    if authorization.deny:
        denied = _either(
            [_principal(rule, authorization.issuers, trust_domain, headers) for rule in authorization.deny]
        )
        if authorization.exempt:
            exempt = _either(
                [
                    _principal(rule, authorization.issuers, trust_domain, headers)
                    for rule in authorization.exempt
                ]
            )
            denied = {"and_ids": {"ids": [denied, {"not_id": exempt}]}}
        policies = {"denied": _policy([denied])}
        filters.append(_rbac("denial", "DENY", policies, _DENYING, audit=authorization.audit))
    policies = _allowed(authorization, trust_domain, headers)
    return [
        *filters,
        *_challenge(authorization, trust_domain, headers),
        _rbac("authorization", "ALLOW", policies, _ALLOWING, audit=authorization.audit),
    ]


def _challenge(authorization: Authorization, trust_domain: str, headers: HeaderTable) -> list[Message]:
    """A filter that only tells whether a better token would be all that is missing."""
    if authorization.audit or not authorization.challenges:
        return []
    asked = []
    for rule in authorization.challenges:
        if rule.jwt is not None:
            lacking = {"not_id": _all(jwt.good(jwt.named(rule.jwt, authorization.issuers)))}
            asked.append(_all([_who(rule, trust_domain), *_of_request(rule, headers), lacking]))
    return [_rbac("challenge", "ALLOW", {"challenged": _policy(asked)}, _CHALLENGING, audit=True)]


def local_replies(authorization: Authorization, realm: str) -> list[Message]:
    """Turns a refusal into 401 where the filter above has told so."""
    if authorization.audit or not authorization.challenges:
        return []
    key = f"{_CHALLENGING}shadow_engine_result"
    told = {"filter": METADATA, "path": [{"key": key}], "value": {"string_match": {"exact": "allowed"}}}
    is_403 = {"default_value": 403, "runtime_key": "meshctl.challenge.403"}
    conditions = [
        {"status_code_filter": {"comparison": {"op": "EQ", "value": is_403}}},
        {"metadata_filter": {"matcher": told, "match_if_key_not_found": False}},
    ]
    header = {"key": "www-authenticate", "value": f'Bearer realm="{realm}"'}
    return [
        {
            "filter": {"and_filter": {"filters": conditions}},
            "status_code": 401,
            "headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        }
    ]


def exemption(
    authorization: Authorization, trust_domain: str, headers: HeaderTable
) -> tuple[list[Message], str]:
    """A filter that only tells of what is exempt, under this key: ``allowed``. Nothing where nothing is."""
    if not authorization.exempt:
        return [], ""
    exempt = _either(
        [_principal(rule, authorization.issuers, trust_domain, headers) for rule in authorization.exempt]
    )
    policies = {"exempt": _policy([exempt])}
    filters = [_rbac("exemption", "ALLOW", policies, _EXEMPTING, audit=True)]
    return filters, f"{_EXEMPTING}shadow_engine_result"


def _allowing(authorization: Authorization) -> tuple[AuthorizationRule, ...]:
    return (*authorization.exempt, *authorization.rules)


def _allowed(authorization: Authorization, trust_domain: str, headers: HeaderTable) -> Message:
    """Without a policy RBAC denies everybody.

    Each service has a policy of its name, so that the access log need not take the name out of the id.
    """
    policies: dict[str, Message] = {}
    for rule in _allowing(authorization):
        everyone = [(_ANYONE, _anyone(trust_domain))] if rule.anyone else []
        for name, who in everyone or [(each.service, _is(each)) for each in rule.principals]:
            policy = policies.setdefault(name, _policy([]))
            conditions = _conditions(rule, authorization.issuers, headers)
            policy["principals"].append(_all([who, *conditions]))
    return policies


_ANYONE = "*"


def _rbac(name: str, action: str, policies: Message, prefix: str, *, audit: bool) -> Message:
    kind = "shadow_rules" if audit else "rules"
    return {
        "name": name,
        "typed_config": typed(
            "filters.http.rbac.v3.RBAC",
            **{kind: {"action": action, "policies": policies}, f"{kind}_stat_prefix": prefix},
        ),
    }


def _policy(principals: list[Message]) -> Message:
    return {"permissions": [{"any": True}], "principals": principals}


def _principal(
    rule: AuthorizationRule, issuers: tuple[JwtIssuer, ...], trust_domain: str, headers: HeaderTable
) -> Message:
    """Everything that a rule says: Envoy's principals know of requests as much as its permissions do."""
    return _all([_who(rule, trust_domain), *_conditions(rule, issuers, headers)])


def _who(rule: AuthorizationRule, trust_domain: str) -> Message:
    return _anyone(trust_domain) if rule.anyone else _either([_is(each) for each in rule.principals])


def _conditions(
    rule: AuthorizationRule, issuers: tuple[JwtIssuer, ...], headers: HeaderTable
) -> list[Message]:
    token = jwt.holds(rule.jwt, issuers) if rule.jwt is not None else []
    return [*_of_request(rule, headers), *token]


def _of_request(rule: AuthorizationRule, headers: HeaderTable) -> list[Message]:
    found: list[Message] = [{"header": each} for each in matching.method_headers(rule.methods)]
    if rule.paths:
        strings = chain.from_iterable(map(matching.path_strings, rule.paths))
        found.append(_either([{"url_path": {"path": each}} for each in strings]))
    return [*found, *(_header(each, headers) for each in rule.headers)]


def _header(header: HeaderMatch, headers: HeaderTable) -> Message:
    if header.kind is ValueMatchKind.PRESENT:
        return {"header": {"name": header.name, "present_match": True}}
    matcher = headers.matcher(header)
    return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}}


def _is(identity: WorkloadIdentity) -> Message:
    return {"authenticated": {"principal_name": {"exact": identity.spiffe_id}}}


def _anyone(trust_domain: str) -> Message:
    return {"authenticated": {"principal_name": mtls.anyone(trust_domain)[0]}}


def _all(principals: list[Message]) -> Message:
    return principals[0] if len(principals) == 1 else {"and_ids": {"ids": principals}}


def _either(principals: list[Message]) -> Message:
    """No principal is nobody."""
    if not principals:
        return {"not_id": {"any": True}}
    return principals[0] if len(principals) == 1 else {"or_ids": {"ids": principals}}


def tcp_names(authorization: Authorization, trust_domain: str) -> list[Message]:
    """The names that get through the handshake of a TCP listener.

    Envoy's own filter would ask with the first byte of the caller; an application that speaks first would
    have answered a stranger by then.
    """
    if authorization.audit:
        return mtls.anyone(trust_domain)
    exempt = _names(authorization.exempt)
    denied = [name for name in _names(authorization.deny) if name not in exempt]
    if any(rule.anyone for rule in authorization.exempt):
        return mtls.anyone(trust_domain)
    everyone_denied = any(rule.anyone for rule in authorization.deny)
    if not everyone_denied and any(rule.anyone for rule in authorization.rules):
        if not denied:
            return mtls.anyone(trust_domain)
        others = f"{regex_literal(f'spiffe://{trust_domain}/')}{_none_of(denied)}"
        return [{"safe_regex": {"regex": others}}]
    listed = [] if everyone_denied else [name for name in _names(authorization.rules) if name not in denied]
    allowed = dict.fromkeys([*exempt, *listed])
    # No service has an empty name, so this is nobody.
    return [{"exact": f"spiffe://{trust_domain}/{name}"} for name in allowed or [""]]


def names_expression(authorization: Authorization) -> str:
    """The same without audit, as a CEL expression about a peer of the mesh."""
    its = authorization
    exempt, denied, allowed = map(_named, (its.exempt, its.deny, its.rules))
    return f"{exempt} || !({denied}) && {allowed}"


def _named(rules: tuple[AuthorizationRule, ...]) -> str:
    if any(rule.anyone for rule in rules):
        return "true"
    names = [each.spiffe_id for rule in rules for each in rule.principals]
    return f"connection.uri_san_peer_certificate in {json.dumps(names, ensure_ascii=False)}"


def _names(rules: Iterable[AuthorizationRule]) -> list[str]:
    return [each.service for rule in rules for each in rule.principals]


def _none_of(words: Iterable[str]) -> str:
    """A regex for every text but ``words``; RE2 has no look-around."""
    by_letter: dict[str, list[str]] = {}
    for word in words:
        if word:
            by_letter.setdefault(word[0], []).append(word[1:])
    ways = [regex_literal(letter) + _none_of(rest) for letter, rest in sorted(by_letter.items())]
    ways.append(f"[^{''.join(map(re.escape, sorted(by_letter)))}].*" if by_letter else ".+")
    return f"(?:{'|'.join(ways)}){'' if '' in words else '?'}"


def identity_headers(*, told: bool = True) -> Message:
    """A filter: what a client says about identities goes; what its certificate says is set, if it is told."""
    mutations: list[Message] = [{"remove_on_match": {"key_matcher": {"safe_regex": {"regex": _aliases()}}}}]
    if told:
        header = {"key": IDENTITY_HEADER, "value": "%DOWNSTREAM_PEER_URI_SAN%"}
        mutations.append({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}})
    return {
        "name": "identity-header",
        "typed_config": typed(
            "filters.http.header_mutation.v3.HeaderMutation", mutations={"request_mutations": mutations}
        ),
    }


def _aliases() -> str:
    """All spellings that a framework may map to an untrusted header. Envoy has the names in lower case."""
    return "|".join(
        "[-_.]".join(regex_literal(word) for word in name.split("-")) for name in UNTRUSTED_HEADERS
    )
