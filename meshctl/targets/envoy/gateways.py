"""What a gateway shows to clients outside the mesh."""

from __future__ import annotations

import posixpath

from meshctl.ir import ServerTls, TlsVersion
from meshctl.targets.envoy import mtls
from meshctl.targets.envoy.protobuf import Message, typed

SECRET_FILE = "sds/gateway.json"  # noqa: S105 - a file's name

_NAME = "gateway"


def secret(tls: ServerTls) -> Message:
    """The SDS file of the gateway's own certificate, read again like the mesh's."""
    return mtls.certificate_secret(_NAME, tls.certificate, tls.key, posixpath.dirname(tls.certificate))


def downstream(tls: ServerTls, protocols: tuple[str, ...]) -> Message:
    """TLS that asks for no client certificate."""
    parameters = mtls.parameters(tls.minimum_version, TlsVersion.V1_3, mtls.WORLD_CIPHER_SUITES)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "transport_sockets.tls.v3.DownstreamTlsContext",
            require_client_certificate=False,
            disable_stateless_session_resumption=True,
            disable_stateful_session_resumption=True,
            common_tls_context={
                "tls_params": parameters,
                "tls_certificate_sds_secret_configs": [mtls.secret(_NAME, SECRET_FILE)],
                **mtls.alpn(protocols),
            },
        ),
    }
