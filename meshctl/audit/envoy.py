"""Reads back what Envoy will load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS
from meshctl.audit import envoy_inbound, envoy_values, vocabulary
from meshctl.audit.expectations import TRUST, Transport, listeners, outside, transport, within
from meshctl.audit.violations import Invariant, Unreadable, Violation
from meshctl.ir import Sidecar

Message = dict[str, Any]

_OWNER_ONLY = 0o600


def audit(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """What is wrong with what Envoy starts with and subscribes to. Its expressions never go back, so any may repeat a group."""
    start = _read(files["envoy/bootstrap.json"])
    discovered = {
        name: _read(files[f"envoy/{name}.json"]).get("resources", []) for name in ("lds", "cds", "rds")
    }
    static = start.get("static_resources", {})
    found = [*static.get("listeners", []), *discovered["lds"]]
    yield from vocabulary.envoy(sidecar, files)
    yield from _admin(start)
    yield from _listeners(sidecar, found)
    yield from _secrets(sidecar, files)
    yield from _clusters(sidecar, [*static.get("clusters", []), *discovered["cds"]])
    yield from envoy_inbound.audit(sidecar, found)
    yield from envoy_values.headers(sidecar, files, _told(found))


def _told(found: list[Message]) -> int:
    """Chains of requests from callers with a certificate."""
    inbound = [
        chain for each in found if each["name"].startswith("inbound") for chain in each["filter_chains"]
    ]
    return sum("transport_socket" in each and bool(envoy_inbound.http_filters(each)) for each in inbound)


def _read(content: bytes) -> Message:
    message = orjson.loads(content)
    if not isinstance(message, dict):
        raise Unreadable("not an object")
    return message


def _admin(start: Message) -> Iterator[Violation]:
    pipe = start["admin"]["address"].get("pipe", {})
    if pipe.get("mode") != _OWNER_ONLY or not pipe.get("path", "").startswith("../run/"):
        yield Violation(Invariant.LISTENERS, "bootstrap.json", "the admin interface is not its owner's alone")


def _listeners(sidecar: Sidecar, found: list[Message]) -> Iterator[Violation]:
    declared = {(each.address, each.port) for each in listeners(sidecar)}
    opened = set()
    for listener in found:
        for chain in listener["filter_chains"]:
            if "transport_socket" in chain:
                yield from envoy_values.downstream(sidecar, chain["transport_socket"]["typed_config"])
        for address, port in envoy_inbound.addresses(listener):
            opened.add((address, port))
            if (address, port) not in declared:
                yield Violation(Invariant.LISTENERS, listener["name"], f"{address} {port} is not declared")
    for address, port in sorted(declared - opened):
        yield Violation(Invariant.LISTENERS, "lds.json", f"nothing listens on {address} {port}")


def _secrets(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """The files that say whose certificates are believed, by the names under which listeners and clusters ask."""
    crl = sidecar.tls.crl
    trust, identity = f"envoy/{envoy_inbound.trust_file(sidecar)}", "envoy/sds/identity.json"
    (believed,) = _read(files[trust])["resources"]
    (shown,) = _read(files[identity])["resources"]
    context = believed["validation_context"]
    if context.get("trusted_ca") != {"filename": TRUST}:
        yield Violation(Invariant.CLIENT_CERTIFICATE, trust, "other CAs than the mesh's are believed")
    if context.get("crl") != ({"filename": f"../{REVOCATION_LISTS}"} if crl else None):
        yield Violation(Invariant.CLIENT_CERTIFICATE, trust, "revocation lists are not looked into as asked")
    if not context.keys() <= {"trusted_ca", "crl", "watched_directory"}:
        yield Violation(Invariant.CLIENT_CERTIFICATE, trust, f"{sorted(context)}")
    pair = shown["tls_certificate"]
    files_shown = (pair.get("certificate_chain"), pair.get("private_key"))
    if files_shown != ({"filename": f"../{CERTIFICATE}"}, {"filename": f"../{PRIVATE_KEY}"}):
        yield Violation(Invariant.UPSTREAM, identity, "not the sidecar's own certificate")


def _clusters(sidecar: Sidecar, found: list[Message]) -> Iterator[Violation]:
    expected = {each.name: transport(each) for each in sidecar.clusters}
    for cluster in found:
        name = cluster["name"]
        matches = "transport_socket_matches" in cluster
        context = cluster.get("transport_socket", {}).get("typed_config")
        # Names with a colon are the sidecar's own: its application, its admin interface, a collector of spans.
        wanted = expected.get(name) if ":" not in name else None
        if name not in expected and ":" not in name:
            yield Violation(Invariant.UPSTREAM, name, "nobody asked for it")
        elif wanted is None:
            if context is not None or matches:
                yield Violation(Invariant.UPSTREAM, name, "TLS that nobody asked for")
        elif context is None or matches or not context["@type"].endswith(".UpstreamTlsContext"):
            yield Violation(Invariant.UPSTREAM, name, "no TLS")
        elif wanted.spiffe_id:
            yield from _hop(sidecar, name, wanted, context)
        else:
            yield from envoy_values.versions(name, context, outside(sidecar))
            yield from _origin(name, wanted, context, cluster)


def _hop(sidecar: Sidecar, name: str, wanted: Transport, context: Message) -> Iterator[Violation]:
    common = context["common_tls_context"]
    combined = common.get("combined_validation_context", {})
    names = combined.get("default_validation_context")
    only = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": wanted.spiffe_id}}]}
    if names != only:
        yield Violation(Invariant.UPSTREAM, name, "another name than the callee's is believed")
    if not envoy_inbound.asks_for(
        combined.get("validation_context_sds_secret_config"), envoy_inbound.trust_file(sidecar)
    ):
        yield Violation(Invariant.UPSTREAM, name, "no CA is asked for")
    yield from envoy_values.versions(name, context, within(sidecar))
    if context.get("sni") != wanted.name or context.get("max_session_keys") != 0:
        yield Violation(Invariant.UPSTREAM, name, "no SNI, or sessions that are used again")
    (shown,) = common.get("tls_certificate_sds_secret_configs") or [None]
    if not envoy_inbound.asks_for(shown, "sds/identity.json"):
        yield Violation(Invariant.UPSTREAM, name, "it does not show the sidecar's own certificate")


def _origin(name: str, wanted: Transport, context: Message, cluster: Message) -> Iterator[Violation]:
    common = context["common_tls_context"]
    validation = common.get("validation_context", {})
    if validation.get("trusted_ca") != {"filename": wanted.authorities}:
        yield Violation(Invariant.UPSTREAM, name, "another CA than the one asked for")
    verified = [each["matcher"] for each in validation.get("match_typed_subject_alt_names", [])]
    options = cluster.get("typed_extension_protocol_options", {}).values()
    of_request = [each.get("upstream_http_protocol_options", {}) for each in options]
    automatic = any(each.get("auto_san_validation") is True for each in of_request)
    if verified != [{"exact": wanted.name}] if wanted.name else not automatic:
        yield Violation(Invariant.UPSTREAM, name, "its name is not verified")
    if "trust_chain_verification" in validation or "tls_certificate_sds_secret_configs" in common:
        yield Violation(Invariant.UPSTREAM, name, "it gets the mesh's certificate, or is not verified")
