"""Who may call this service, and what its application is told about the caller."""

from __future__ import annotations

from meshctl.ir import Authorization
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS
from meshctl.targets.envoy.protobuf import Message, regex_literal, typed

_STAT_PREFIX = "authorization_"

CALLER = ("envoy.filters.http.rbac", f"{_STAT_PREFIX}enforced_effective_policy_id")
"""Where the filter leaves the service name of a caller that it let in: namespace and key of metadata."""


def http_filter(authorization: Authorization) -> Message:
    """Allows the callers with a rule by their whole SPIFFE id; without a policy RBAC denies everybody.

    Each service has a policy of its name, so that the access log need not take the name out of the id.
    """
    policies: dict[str, Message] = {}
    for caller in (each for rule in authorization.rules for each in rule.principals):
        policy = policies.setdefault(caller.service, {"permissions": [{"any": True}], "principals": []})
        policy["principals"].append({"authenticated": {"principal_name": {"exact": caller.spiffe_id}}})
    return {
        "name": "authorization",
        "typed_config": typed(
            "filters.http.rbac.v3.RBAC",
            rules={"action": "ALLOW", "policies": policies},
            rules_stat_prefix=_STAT_PREFIX,
        ),
    }


def identity_header() -> Message:
    """A filter: what a caller says about identities goes, what its certificate says is set."""
    mutations = [
        {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": _aliases()}}}},
        {
            "append": {
                "header": {"key": IDENTITY_HEADER, "value": "%DOWNSTREAM_PEER_URI_SAN%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        },
    ]
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
