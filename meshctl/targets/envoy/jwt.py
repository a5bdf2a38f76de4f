"""Tokens: read strictly, verified by Envoy's own filter, and asked for rule by rule.

That filter finds a token anywhere in the lines of Authorization, so a filter in Lua reads it first and hands it
over in a header of its own. What is verified is dynamic metadata, by the issuer's name in the spec.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

from meshctl.ir import Authorization, EcKey, JwtCondition, JwtIssuer, JwtKey, RsaKey
from meshctl.ir.jwt import CLOCK_SKEW, SPACE_DELIMITED
from meshctl.targets.envoy.protobuf import Message, typed

_HEADER = "x-mesh-bearer"
_METADATA = "envoy.filters.http.jwt_authn"

_READ = f"""local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function decoded(text)
  local bytes, bits, count = {{}}, 0, 0
  for letter in string.gmatch(text, ".") do
    bits, count = bits * 64 + string.find(letters, letter, 1, true) - 1, count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(math.floor(bits / 2 ^ count))
      bits = bits % 2 ^ count
    end
  end
  return table.concat(bytes)
end

-- RFC 7515, section 4.1.11: what `crit` lists must be understood, and nothing is. Envoy does not look at it.
local function is_critical(head)
  local text = string.gsub(decoded(head), "\\\\u00(%x%x)", function(code)
    return string.char(tonumber(code, 16))
  end)
  return string.find(text, '"crit"%s*:') ~= nil
end

function envoy_on_request(request)
  local headers = request:headers()
  headers:remove("{_HEADER}")
  if headers:getNumValues("authorization") ~= 1 then return end
  -- Envoy leaves blanks at the ends of a value that came over HTTP/2.
  local line = string.gsub(headers:get("authorization"), "[ \\t]+$", "")
  local token = string.match(
    line, "^[ \\t]*[Bb][Ee][Aa][Rr][Ee][Rr] +([%w_-]+%.[%w_-]+%.[%w_-]+)$")
  if token and not is_critical(string.match(token, "^[^.]+")) then headers:add("{_HEADER}", token) end
end
"""


def http_filters(authorization: Authorization) -> list[Message]:
    """What reads and verifies the token, where any rule asks for one."""
    if not authorization.issuers:
        return []
    read = typed("filters.http.lua.v3.Lua", default_source_code={"inline_string": _READ})
    verify = typed(
        "filters.http.jwt_authn.v3.JwtAuthentication",
        providers={each.name: _provider(each) for each in authorization.issuers},
        rules=[{"match": {"prefix": "/"}, "requires": _each_if_it_can(authorization.issuers)}],
    )
    return [{"name": "bearer", "typed_config": read}, {"name": "jwt", "typed_config": verify}]


def forget(authorization: Authorization) -> list[Message]:
    """A filter that takes the copy of the token away again; Authorization itself goes on."""
    if not authorization.issuers:
        return []
    mutations = {"request_mutations": [{"remove": _HEADER}]}
    config = typed("filters.http.header_mutation.v3.HeaderMutation", mutations=mutations)
    return [{"name": "forget-bearer", "typed_config": config}]


def good(issuer: JwtIssuer) -> list[Message]:
    """``envoy.config.rbac.v3.Principal`` that must all hold for a good token of ``issuer``.

    Envoy's own check of audiences leaves out their scheme, so it is not asked for it.
    """
    verified = [_claim(issuer, "iss", (issuer.issuer,))]
    return [*verified, _claim(issuer, "aud", issuer.audiences)] if issuer.audiences else verified


def holds(condition: JwtCondition, issuers: Iterable[JwtIssuer]) -> list[Message]:
    """The same for a rule: a good token, and what it must claim."""
    issuer = named(condition, issuers)
    return [*good(issuer), *(_claim(issuer, each.name, (each.value,)) for each in condition.claims)]


def named(condition: JwtCondition, issuers: Iterable[JwtIssuer]) -> JwtIssuer:
    """The issuer whose token is asked for."""
    return next(each for each in issuers if each.name == condition.issuer)


def _provider(issuer: JwtIssuer) -> Message:
    keys = json.dumps({"keys": [_jwk(each) for each in issuer.keys]})
    return {
        "issuer": issuer.issuer,
        "local_jwks": {"inline_string": keys},
        "from_headers": [{"name": _HEADER}],
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": int(CLOCK_SKEW.total_seconds()),
        "payload_in_metadata": issuer.name,
        "normalize_payload_in_metadata": {"space_delimited_claims": sorted(SPACE_DELIMITED)},
    }


def _jwk(key: JwtKey) -> Message:
    common = {"alg": key.algorithm, "use": "sig", **({"kid": key.kid} if key.kid else {})}
    match key.public:
        case RsaKey(n, e):
            return {"kty": "RSA", **common, "n": n, "e": e}
        case EcKey(curve, x, y):
            return {"kty": "EC", **common, "crv": curve, "x": x, "y": y}
    assert_never(key.public)


def _each_if_it_can(issuers: Iterable[JwtIssuer]) -> Message:
    """No requirement ever fails: what a token is good for, rules decide."""
    tried = [
        {"requires_any": {"requirements": [{"provider_name": each.name}, {"allow_missing_or_failed": {}}]}}
        for each in issuers
    ]
    return tried[0] if len(tried) == 1 else {"requires_all": {"requirements": tried}}


def _claim(issuer: JwtIssuer, name: str, values: tuple[str, ...]) -> Message:
    """One of ``values``, as the claim's text or in its list."""
    texts = [{"string_match": {"exact": value}} for value in values]
    matchers = [*texts, *({"list_match": {"one_of": each}} for each in texts)]
    matcher = {
        "filter": _METADATA,
        "path": [{"key": issuer.name}, {"key": name}],
        "value": {"or_match": {"value_matchers": matchers}},
    }
    return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}}
