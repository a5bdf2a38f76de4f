"""Who a sidecar says it is, and whom it believes."""

from __future__ import annotations

from typing import assert_never

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE
from meshctl.ir import TlsContext, TlsVersion, WorkloadIdentity
from meshctl.targets.envoy.protobuf import Message, typed

IDENTITY_FILE = "sds/identity.json"
TRUST_FILE = "sds/trust.json"

_TLS_FOLDER = "../tls"
_CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
)
"""For TLS 1.2 only; leaves are P-256, so nothing with RSA. Those of 1.3 are fixed in Envoy."""


def secrets() -> dict[str, Message]:
    """The SDS files. They name the certificate files, which Envoy reads again when one is renamed in."""
    watched = {"path": _TLS_FOLDER}
    identity = {
        "certificate_chain": {"filename": f"../{CERTIFICATE}"},
        "private_key": {"filename": f"../{PRIVATE_KEY}"},
        "watched_directory": watched,
    }
    trust = {"trusted_ca": {"filename": f"../{TRUST_BUNDLE}"}, "watched_directory": watched}
    return {
        IDENTITY_FILE: _discovery_response("identity", tls_certificate=identity),
        TRUST_FILE: _discovery_response("trust", validation_context=trust),
    }


def _discovery_response(name: str, **secret: Message) -> Message:
    resource = typed("transport_sockets.tls.v3.Secret", name=name, **secret)
    return {"version_info": "1", "resources": [resource]}


def upstream(callee: WorkloadIdentity, tls: TlsContext) -> Message:
    """A connection to ``callee`` and to nobody else: its SPIFFE id is the whole URI SAN."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "transport_sockets.tls.v3.UpstreamTlsContext",
            sni=callee.dns_name,
            allow_renegotiation=False,
            # No session is ever resumed: a resumed one would not be verified again.
            max_session_keys=0,
            common_tls_context=_common({"exact": callee.spiffe_id}, tls),
        ),
    }


def downstream(trust_domain: str, tls: TlsContext) -> Message:
    """Lets in certificates of the mesh's CA with a name in its trust domain, and demands one."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "transport_sockets.tls.v3.DownstreamTlsContext",
            require_client_certificate=True,
            disable_stateless_session_resumption=True,
            disable_stateful_session_resumption=True,
            common_tls_context=_common({"prefix": f"spiffe://{trust_domain}/"}, tls),
        ),
    }


def _common(name: Message, tls: TlsContext) -> Message:
    return {
        "tls_params": _parameters(tls),
        "tls_certificate_sds_secret_configs": [_secret("identity", IDENTITY_FILE)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name}]
            },
            "validation_context_sds_secret_config": _secret("trust", TRUST_FILE),
        },
    }


def _parameters(tls: TlsContext) -> Message:
    parameters = {
        "tls_minimum_protocol_version": _version(tls.minimum_version),
        "tls_maximum_protocol_version": _version(tls.maximum_version),
        "ecdh_curves": ["X25519", "P-256"],
    }
    if tls.minimum_version is TlsVersion.V1_2:
        parameters["cipher_suites"] = list(_CIPHER_SUITES)
    return parameters


def _secret(name: str, file: str) -> Message:
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
