"""Reads back Envoy's listeners: who gets in, and what stands before the application."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from meshctl.audit import envoy_rules, envoy_values
from meshctl.audit.expectations import callers, lets_anyone_in
from meshctl.audit.patterns import misjudged, python_regex, unmatched_alias
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import InboundListener, MtlsMode, Protocol, Sidecar
from meshctl.ir.mesh import IDENTITY_HEADER

Message = dict[str, Any]


def addresses(listener: Message) -> Iterator[tuple[str, int]]:
    """Every address of a listener."""
    others = [each["address"] for each in listener.get("additional_addresses", [])]
    for each in (listener["address"], *others):
        socket = each["socket_address"]
        yield socket["address"], socket["port_value"]


def trust_file(sidecar: Sidecar) -> str:
    """The file that says whom the sidecar believes."""
    return "sds/trust-crl.json" if sidecar.tls.crl else "sds/trust.json"


def asks_for(secret: Message | None, file: str) -> bool:
    """Whether an ``SdsSecretConfig`` names ``file``, and waits for it."""
    if secret is None:
        return False
    source = secret.get("sds_config", {})
    path = source.get("path_config_source", {}).get("path")
    return bool(path == file and source.get("initial_fetch_timeout") == "0s")


def audit(sidecar: Sidecar, found: list[Message]) -> Iterator[Violation]:
    """What is wrong with who comes in, and with the gate of every listener."""
    at = {address: listener for listener in found for address in addresses(listener)}
    for outbound in (sidecar.outbound, *sidecar.locals):
        for bind in outbound.binds:
            for chain in at[bind.address, bind.port]["filter_chains"]:
                yield from _gate(http_filters(chain), bind.address)
    inbound = sidecar.inbound
    if inbound is not None:
        for bind in inbound.binds:
            listener = at[bind.address, bind.port]
            if "default_filter_chain" in listener:
                yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "a chain for what no other takes")
            for chain in listener["filter_chains"]:
                yield from _chain(sidecar, inbound, chain)
    health = sidecar.health
    if health is not None and health.application is not None:
        for chain in at[health.binds[0].address, health.binds[0].port]["filter_chains"]:
            yield from _untrusted(http_filters(chain), "health")


_TELLS = "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"


def http_filters(chain: Message) -> list[Message]:
    """The HTTP filters of a chain, each its name beside its configuration, but for those that only keep what they see."""
    found = chain["filters"][-1]["typed_config"].get("http_filters", [])
    return [each for each in found if each["typed_config"].get("@type") != _TELLS]


def _chain(sidecar: Sidecar, inbound: InboundListener, chain: Message) -> Iterator[Violation]:
    socket = chain.get("transport_socket")
    streams = inbound.protocol is Protocol.TCP
    match = chain.get("filter_chain_match", {}).get("transport_protocol")
    if socket is not None:
        yield from _certificate(sidecar, socket["typed_config"])
        if len(chain["filters"]) != 2 or chain["filters"][0]["name"] != "names-one":
            yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "who has two names is not refused")
        else:
            yield from envoy_values.names_one(sidecar, inbound, chain["filters"][0])
        if inbound.mtls is MtlsMode.DISABLED or (match != "tls" and inbound.mtls is MtlsMode.PERMISSIVE):
            yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "TLS is not taken as asked")
    elif inbound.mtls is MtlsMode.STRICT or (match != "raw_buffer" and inbound.mtls is MtlsMode.PERMISSIVE):
        yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "plaintext is taken")
    if streams:
        if socket is not None:
            yield from _stream_callers(sidecar, socket["typed_config"])
        return
    filters = http_filters(chain)
    yield from envoy_values.filters(filters)
    if any(each.get("disabled") for each in filters) or _overrides(chain["filters"][-1]["typed_config"]):
        yield Violation(Invariant.DEFAULT_DENY, "inbound", "a filter is taken back")
    if chain["filters"][-1]["typed_config"].get("forward_client_cert_details") != "SANITIZE":
        yield Violation(Invariant.IDENTITY_HEADERS, "inbound", "a caller's word of certificates is believed")
    yield from _gate(filters, "inbound")
    yield from _authorization(inbound, filters, plaintext=socket is None)
    yield from _untrusted(filters, "inbound", told=socket is not None)


def _overrides(manager: Message) -> bool:
    """Whether a host or a route has rules of its own, or none, in the place of a filter's."""
    routes = manager.get("route_config", {})
    hosts = routes.get("virtual_hosts", [])
    places = [routes, *hosts, *(route for host in hosts for route in host.get("routes", []))]
    found = [its for place in places for its in place.get("typed_per_filter_config", {}).values()]
    return any(".rbac." in its["@type"] or its["@type"].endswith(".FilterConfig") for its in found)


def _certificate(sidecar: Sidecar, context: Message) -> Iterator[Violation]:
    wanted = (
        "require_client_certificate",
        "disable_stateless_session_resumption",
        "disable_stateful_session_resumption",
    )
    for field in wanted:
        if context.get(field) is not True:
            yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", f"no {field}")
    combined = context["common_tls_context"].get("combined_validation_context", {})
    if not asks_for(combined.get("validation_context_sds_secret_config"), trust_file(sidecar)):
        yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "no CA is asked for")
    asked = combined.get("default_validation_context", {})
    if not asked.keys() <= {"match_typed_subject_alt_names"}:
        yield Violation(
            Invariant.CLIENT_CERTIFICATE, "inbound", f"certificates are judged by {sorted(asked)}"
        )
    names = asked.get("match_typed_subject_alt_names", [])
    if not names or not all(_of_the_mesh(sidecar, each) for each in names):
        yield Violation(
            Invariant.CLIENT_CERTIFICATE, "inbound", "names of others than the mesh's are believed"
        )


def _of_the_mesh(sidecar: Sidecar, name: Message) -> bool:
    domain = f"spiffe://{sidecar.identity.trust_domain}/"
    others = (
        "spiffe://other.example.test/a",
        f"{domain[:-1]}.evil.example/a",
        domain.replace(".", "x", 1) + "a",
        f"x{domain}a",
        "",
    )
    if name.get("san_type") != "URI":
        return False
    match name["matcher"]:
        case {"exact": str(text)} | {"prefix": str(text)}:
            return text.startswith(domain)
        case {"safe_regex": {"regex": str(text)}}:
            return not any(
                python_regex(text).fullmatch(each) for each in others if not each.startswith(domain)
            )
        case _:
            return False


def _stream_callers(sidecar: Sidecar, context: Message) -> Iterator[Violation]:
    """Who gets through the handshake of a stream may have it."""
    inbound = sidecar.inbound
    if inbound is None or inbound.authorization.audit or lets_anyone_in(sidecar):
        return
    domain = f"spiffe://{sidecar.identity.trust_domain}/"
    known = {f"{domain}{each}" for each in callers(sidecar)} | {domain}
    validation = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    for name in validation["match_typed_subject_alt_names"]:
        if name["matcher"].get("exact") not in known:
            yield Violation(Invariant.DEFAULT_DENY, "inbound", "a caller whom no rule names")


_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_MUTATION = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def _gate(filters: list[Message], where: str) -> Iterator[Violation]:
    """The first filter lets in what is canonical, and nothing else."""
    config = filters[0]["typed_config"] if filters else {}
    rules = config.get("rules", {})
    policies = list(rules.get("policies", {}).values())
    if config.get("@type") != _RBAC or rules.get("action") != "ALLOW" or len(policies) != 1:
        yield Violation(Invariant.GATE, where, "it is not the first filter")
        return
    (permission,) = policies[0]["permissions"]
    tests = {each["header"]["name"]: each["header"] for each in permission["and_rules"]["rules"]}
    if tests.keys() != {":path", ":authority", ":method"} or any(
        "invert_match" in each for each in tests.values()
    ):
        yield Violation(Invariant.GATE, where, f"it asks for {sorted(tests)}")
        return
    expression = tests[":path"]["string_match"]["safe_regex"]["regex"]
    if (wrong := _misjudged(expression)) is not None:
        yield Violation(Invariant.GATE, where, f"{wrong!r} is judged wrongly")


@lru_cache(maxsize=16)
def _misjudged(expression: str) -> str | None:
    takes = python_regex(expression).fullmatch
    return misjudged(lambda target: takes(target) is not None)


def _authorization(
    inbound: InboundListener, filters: list[Message], *, plaintext: bool
) -> Iterator[Violation]:
    """One filter that refuses whom it does not know, behind those that deny; nothing lets in after it."""
    kind = "shadow_rules" if inbound.authorization.audit else "rules"
    at = [
        (index, its[kind])
        for index, its in enumerate(each["typed_config"] for each in filters)
        if index and its.get("@type") == _RBAC and kind in its
    ]
    allowing = [(index, rules) for index, rules in at if rules["action"] == "ALLOW"]
    last = [each for each in allowing if filters[each[0]]["name"] == "authorization"]
    denying = [index for index, rules in at if rules["action"] == "DENY"]
    asked = inbound.authorization.of_plaintext() if plaintext else inbound.authorization
    if len(last) != 1 or (kind == "rules" and len(allowing) != 1):
        yield Violation(Invariant.DEFAULT_DENY, "inbound", "nobody is refused")
        return
    ((index, rules),) = last
    if bool(asked.deny) != bool(denying) or any(each > index for each in denying):
        yield Violation(Invariant.DEFAULT_DENY, "inbound", "what is denied is not asked first")
    if filters[-1]["typed_config"].get("@type") != _ROUTER:
        yield Violation(Invariant.DEFAULT_DENY, "inbound", "the router is not the last")
    yield from envoy_rules.allowing(rules["policies"], asked)
    for denial in (found for place, found in at if place in denying):
        yield from envoy_rules.denying(denial["policies"], asked)


def _untrusted(filters: list[Message], where: str, *, told: bool = False) -> Iterator[Violation]:
    mutations = [
        each
        for one in filters
        if one["typed_config"].get("@type") == _MUTATION
        for each in one["typed_config"]["mutations"].get("request_mutations", [])
    ]
    removing = [each["remove_on_match"]["key_matcher"] for each in mutations if "remove_on_match" in each]
    expressions = tuple(each["safe_regex"]["regex"] for each in removing if "safe_regex" in each)
    left = unmatched_alias(expressions, whole=True)
    if left is not None:
        yield Violation(Invariant.IDENTITY_HEADERS, where, f"{left} is let through")
    appended = [each["append"] for each in mutations if "append" in each]
    own = [each for each in appended if each["header"]["key"] == IDENTITY_HEADER]
    wanted = [
        {
            "header": {"key": IDENTITY_HEADER, "value": "%DOWNSTREAM_PEER_URI_SAN%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    ]
    if own != (wanted if told else []) or (own and "append" in mutations[0]):
        yield Violation(Invariant.IDENTITY_HEADERS, where, "the caller is not told as he is")
