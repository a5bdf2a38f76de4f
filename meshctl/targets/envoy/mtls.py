"""Who a sidecar says it is, and whom it believes."""

from __future__ import annotations

from typing import assert_never

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.ir import SocketAddress, TlsContext, TlsVersion, WorkloadIdentity
from meshctl.targets.envoy.protobuf import Message, regex_literal, typed

IDENTITY = "identity"
"""The secret with the sidecar's own certificate."""

IDENTITY_FILE = "sds/identity.json"
_TRUST_FILES = {False: "sds/trust.json", True: "sds/trust-crl.json"}
"""Whether lists are looked into is the file's name. Envoy reads a file again as soon as a build has exchanged it, and the
next build must not change whom a running sidecar believes: that takes a reload or a start."""

_TLS_FOLDER = "../tls"
_CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
)
"""For TLS 1.2 only; leaves are P-256, so nothing with RSA. Those of 1.3 are fixed in Envoy."""

WORLD_CIPHER_SUITES = tuple(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""For TLS 1.2 with those outside the mesh, whose keys may be RSA."""


def secrets(tls: TlsContext) -> dict[str, Message]:
    """The SDS files. They name the certificate files, which Envoy reads again when one is renamed in."""
    trust = {
        "trusted_ca": {"filename": f"../{TRUST_BUNDLE}"},
        # Of the whole chain, so every CA needs a list.
        **({"crl": {"filename": f"../{REVOCATION_LISTS}"}} if tls.crl else {}),
        "watched_directory": {"path": _TLS_FOLDER},
    }
    return {
        IDENTITY_FILE: certificate_secret(IDENTITY, f"../{CERTIFICATE}", f"../{PRIVATE_KEY}", _TLS_FOLDER),
        _TRUST_FILES[tls.crl]: _discovery_response("trust", validation_context=trust),
    }


def certificate_secret(name: str, certificate: str, key: str, watched: str) -> Message:
    """An SDS file of a certificate with its key, read again when a file is renamed into ``watched``."""
    pair = {
        "certificate_chain": {"filename": certificate},
        "private_key": {"filename": key},
        "watched_directory": {"path": watched},
    }
    return _discovery_response(name, tls_certificate=pair)


def _discovery_response(name: str, **secret: Message) -> Message:
    resource = typed("transport_sockets.tls.v3.Secret", name=name, **secret)
    return {"version_info": "1", "resources": [resource]}


def upstream(callee: WorkloadIdentity, tls: TlsContext, protocols: tuple[str, ...] = ()) -> Message:
    """A connection to ``callee`` and to nobody else: its SPIFFE id is the whole URI SAN."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "transport_sockets.tls.v3.UpstreamTlsContext",
            sni=callee.server_name,
            allow_renegotiation=False,
            # No session is ever resumed: a resumed one would not be verified again.
            max_session_keys=0,
            common_tls_context=_common([{"exact": callee.spiffe_id}], tls) | alpn(protocols),
        ),
    }


def downstream(names: list[Message], tls: TlsContext, protocols: tuple[str, ...] = ()) -> Message:
    """Demands a certificate of the mesh's CA with one of ``names``, and offers ``protocols`` by ALPN."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "transport_sockets.tls.v3.DownstreamTlsContext",
            require_client_certificate=True,
            disable_stateless_session_resumption=True,
            disable_stateful_session_resumption=True,
            common_tls_context=_common(names, tls) | alpn(protocols),
        ),
    }


def anyone(trust_domain: str) -> list[Message]:
    """Every name in the trust domain."""
    return [{"prefix": f"spiffe://{trust_domain}/"}]


def names_one(trust_domain: str) -> Message:
    """A network filter: of whom there are several URIs in the certificate, nothing is read.

    The handshake is content when one of them is right. Asked with the first bytes, once for each connection.
    """
    expression = f"{regex_literal(f'spiffe://{trust_domain}/')}[^,]+"
    uris = {"name": "uris", "typed_config": typed("matching.common_inputs.ssl.v3.UriSanInput")}
    one = {"input": uris, "value_match": {"safe_regex": {"regex": expression, "google_re2": {}}}}
    matched = {"predicate": {"single_predicate": one}, "on_match": {"action": _action("one", "ALLOW")}}
    matcher = {
        "matcher_list": {"matchers": [matched]},
        "on_no_match": {"action": _action("several", "DENY")},
    }
    return {
        "name": "names-one",
        "typed_config": typed(
            "filters.network.rbac.v3.RBAC",
            stat_prefix="names_one",
            matcher=matcher,
            enforcement_type="ONE_TIME_ON_FIRST_BYTE",
        ),
    }


def _action(name: str, action: str) -> Message:
    return {"name": name, "typed_config": typed("config.rbac.v3.Action", name=name, action=action)}


def leads_one_to(application: SocketAddress) -> Message:
    """A network filter: the way to the application, for callers with one URI in the certificate.

    A stream's application may be the first to speak, so nothing is asked with the caller's first bytes. All URIs with
    commas between them are as long as the first alone when there is one.
    """
    several, first = "filter_state['meshctl.uris']", "connection.uri_san_peer_certificate"
    way = f"%CEL(size({several}) == size({first}) ? '{application}' : '')%"
    values = [
        {"object_key": "meshctl.uris", "factory_key": "envoy.string", **_text("%DOWNSTREAM_PEER_URI_SAN%")},
        {"object_key": "envoy.network.transport_socket.original_dst_address", **_text(way)},
    ]
    return {
        "name": "names-one",
        "typed_config": typed(
            "filters.network.set_filter_state.v3.Config", on_downstream_tls_handshake=values
        ),
    }


def _text(command: str) -> Message:
    return {"format_string": {"text_format_source": {"inline_string": command}}}


def alpn(protocols: tuple[str, ...]) -> Message:
    """Field of a CommonTlsContext; nothing is offered without ``protocols``."""
    return {"alpn_protocols": list(protocols)} if protocols else {}


def _common(names: list[Message], tls: TlsContext) -> Message:
    if not names:
        # Envoy would take no name at all for any name.
        raise ValueError("no name to verify")
    suites = tls.cipher_suites or _CIPHER_SUITES
    return {
        "tls_params": parameters(tls.minimum_version, tls.maximum_version, suites),
        "tls_certificate_sds_secret_configs": [secret(IDENTITY, IDENTITY_FILE)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name} for name in names]
            },
            "validation_context_sds_secret_config": secret("trust", _TRUST_FILES[tls.crl]),
        },
    }


def parameters(
    minimum: TlsVersion, maximum: TlsVersion, suites: tuple[str, ...], curves: tuple[str, ...] = ()
) -> Message:
    """``TlsParameters``; ``suites`` are those of TLS 1.2, ``curves`` come after the two of the mesh."""
    fields: Message = {
        "tls_minimum_protocol_version": _version(minimum),
        "tls_maximum_protocol_version": _version(maximum),
        "ecdh_curves": ["X25519", "P-256", *curves],
    }
    if minimum is TlsVersion.V1_2:
        fields["cipher_suites"] = list(suites)
    return fields


def secret(name: str, file: str) -> Message:
    """``SdsSecretConfig``: the secret ``name`` in an SDS file."""
    return {
        "name": name,
        "sds_config": {
            "path_config_source": {"path": file},
            "resource_api_version": "V3",
            # Without its certificate a sidecar would rather not serve than serve plain errors.
            "initial_fetch_timeout": "0s",
        },
    }


def _version(version: TlsVersion) -> str:
    match version:
        case TlsVersion.V1_2:
            return "TLSv1_2"
        case TlsVersion.V1_3:
            return "TLSv1_3"
        case other:
            assert_never(other)
