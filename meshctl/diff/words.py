"""The parts of the model in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import assert_never

from msgspec.structs import replace

from meshctl import ir

_SHOWN = 60
"""Characters of a body."""


def timeout(value: ir.Timeout) -> str:
    """With a word where it is the default, for a written timeout is kept exactly."""
    text = ir.duration_text(value.duration) if value.duration else "off"
    return text if value.written else f"{text} (default)"


def retries(policy: ir.RetryPolicy) -> str:
    """How often, when, and how."""
    per_try = policy.per_try_timeout.duration
    bound = f"each try {ir.duration_text(per_try)}" if per_try else ""
    if not policy.attempts:
        return f"none, {bound}" if bound else "none"
    reasons = (*policy.conditions, *map(str, policy.statuses), *policy.grpc_statuses)
    parts = [f"{policy.attempts} on {', '.join(reasons)}", bound]
    if policy.non_idempotent:
        parts.append("any method")
    if policy.backoff is not None:
        base, longest = policy.backoff.base, policy.backoff.maximum
        parts.append(f"pauses {ir.duration_text(base)} to {ir.duration_text(longest)}")
    if policy.budget is not None:
        parts.append(f"budget {percent(policy.budget.share)}")
    text = ", ".join(each for each in parts if each)
    return text if policy.at is not None else f"{text} (default)"


def body_timeout(value: ir.BodyTimeout) -> str:
    """The limit of a stalled upload."""
    return ir.duration_text(value.duration) if value.duration else "off"


def conditions(match: ir.RouteMatch) -> str:
    """All conditions of one match."""
    parts = ["/".join(match.methods)] if match.methods else []
    parts.append(path(match.path))
    parts += [f"{each.name}{_value(each, ': ')}" for each in match.headers]
    parts += [f"?{each.name}{_value(each, '=')}" for each in match.queries]
    return " ".join(parts)


def requests(matches: Sequence[ir.RouteMatch], become: str) -> str:
    """The requests that matches take, and what they ``become``."""
    if any(each.takes_everything for each in matches):
        return f"all requests {become}"
    if len(matches) > 1:
        return f"{' or '.join(conditions(each) for each in matches)} {become}"
    (only,) = matches
    plain = replace(only, headers=(), queries=())
    what = "requests" if plain.takes_everything else conditions(plain)
    having = [f"{each.name}{_having(each, ': ')}" for each in only.headers]
    having += [f"?{each.name}{_having(each, '=')}" for each in only.queries]
    return f"{what} {become}{', for callers with ' if having else ''}{' and '.join(having)}"


def path(match: ir.PathMatch) -> str:
    """A condition on the path: `/a` the whole path, `/a/…` a prefix, `~/a` a regex."""
    match match.kind:
        case ir.PathMatchKind.EXACT:
            return match.value
        case ir.PathMatchKind.PREFIX:
            return f"{match.value.rstrip('/')}/…"
        case ir.PathMatchKind.REGEX:
            return f"~{match.value}"
    assert_never(match.kind)


def _value(each: ir.HeaderMatch | ir.QueryMatch, sign: str) -> str:
    match each.kind:
        case ir.ValueMatchKind.EXACT:
            return f"{sign}{each.value}"
        case ir.ValueMatchKind.REGEX:
            return f"{sign}~{each.value}"
        case ir.ValueMatchKind.PRESENT:
            return " is there"
    assert_never(each.kind)


def _having(each: ir.HeaderMatch | ir.QueryMatch, sign: str) -> str:
    return "" if each.kind is ir.ValueMatchKind.PRESENT else _value(each, sign)


def answer(value: ir.Redirect | ir.DirectResponse | None) -> str:
    """What a route answers by itself, or nothing."""
    match value:
        case ir.Redirect():
            scheme = f"{value.scheme}://" if value.scheme else ""
            port = f":{value.port}" if value.port else ""
            place = f"{scheme}{value.hostname}{port}{value.path}{_prefix(value.prefix)}"
            return f"redirect {value.status} to {place or 'the same place'}"
        case ir.DirectResponse():
            return f"answer {value.status} {_body(value.body)}".rstrip()
        case None:
            return ""


def _body(text: str) -> str:
    if len(text) <= _SHOWN:
        return f"`{text}`" if text else ""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"`{text[:_SHOWN]}…` ({len(text.encode())} bytes, sha256 {digest}…)"


def rewrite(value: ir.Rewrite | None) -> str:
    """What the callee sees instead."""
    if value is None:
        return "none"
    place = f"{value.path}{_prefix(value.prefix)}"
    return " and ".join(each for each in (place, value.hostname and f"host {value.hostname}") if each)


def _prefix(value: str) -> str:
    return f"{value.rstrip('/')}/…" if value else ""


def header_changes(value: ir.HeaderChanges) -> dict[str, str]:
    """By header, what becomes of it."""
    return (
        {name: f"set {text}" for name, text in value.set}
        | {name: f"add {text}" for name, text in value.add}
        | dict.fromkeys(value.remove, "remove")
    )


def origin(cluster: ir.Cluster) -> str:
    """How a callee is spoken to."""
    if cluster.plaintext:
        return "off"
    if cluster.origin is None:
        return "mutual"
    tls = cluster.origin.tls
    if tls is None:
        return "off"
    return f"{tls.server_name or 'the host'} by {tls.authorities}, at least {tls.minimum_version}"


def looked_up(cluster: ir.Cluster) -> str:
    """The name that DNS is asked for."""
    if cluster.dns is None:
        return "no"
    port = f":{cluster.dns.port}" if cluster.dns.port else ""
    kind = " (SRV)" if cluster.dns.srv else ""
    return f"{cluster.dns.name or 'the host'}{port}{kind} every {ir.duration_text(cluster.dns.refresh)}"


def rule(value: ir.AuthorizationRule) -> str:
    """Who may do what."""
    named = [each.service for each in value.principals]
    named += ["anyone"] if value.anyone else []
    named += ["unauthenticated"] if value.unauthenticated else []
    who = ", ".join(named) or "nobody"
    parts = [who, "/".join(value.methods), " or ".join(path(each) for each in value.paths)]
    parts += [f"{each.name}{_value(each, ': ')}" for each in value.headers]
    if value.jwt is not None:
        claims = "".join(f" {each.name}={each.value}" for each in value.jwt.claims)
        parts.append(f"with a token of {value.jwt.issuer}{claims}")
    return " ".join(each for each in parts if each)


def issuer(value: ir.JwtIssuer) -> str:
    """Whose tokens are good: keys by their `kid` and the beginning of their digest."""
    keys = (
        f"{each.kid} {hashlib.sha256(repr(each).encode()).hexdigest()[:8]}".strip() for each in value.keys
    )
    audiences = f" for {' or '.join(value.audiences)}" if value.audiences else ""
    return f"{value.issuer}{audiences} by {', '.join(keys)}"


def cluster_label(service: str, cluster: str) -> str:
    """What to add to the name of an endpoint: the subset, or nothing."""
    subset = cluster.removeprefix(service).lstrip(".")
    return f" ({subset})" if subset else ""


def shares(service: str, route: ir.Route) -> dict[str, Fraction]:
    """The share of each backend, subsets of ``service`` by their own name."""
    total = sum(each.weight for each in route.backends)
    return {each.cluster.removeprefix(f"{service}."): Fraction(each.weight, total) for each in route.backends}


def backends(service: str, route: ir.Route) -> dict[str, str]:
    """The same in words."""
    return {name: percent(share) for name, share in shares(service, route).items()}


def percent(share: Fraction) -> str:
    """A share to two digits."""
    hundredth = round(share * 10_000)
    text = f"{hundredth // 100}.{hundredth % 100:02}".rstrip("0").rstrip(".")
    # A share so small that it rounds to nothing, or so large that it rounds to all, must not read so.
    if not hundredth:
        text = "<0.01"
    elif hundredth == 10_000 and share < 1:
        text = ">99.99"
    return f"{text}%"
