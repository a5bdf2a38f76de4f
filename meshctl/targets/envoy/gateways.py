"""What a gateway shows to clients outside the mesh."""

from __future__ import annotations

import hashlib
import posixpath

from meshctl.ir import ServerTls, TlsVersion
from meshctl.targets.envoy import mtls
from meshctl.targets.envoy.protobuf import Message, typed

_NAME = "gateway"


def secret_file(tls: ServerTls) -> str:
    """The name of the SDS file, another one for other files.

    Envoy reads it again as soon as a build has exchanged it, and the next build must not change what a running gateway
    shows.
    """
    named = hashlib.sha256(f"{tls.certificate}\0{tls.key}".encode())
    return f"sds/gateway-{named.hexdigest()[:12]}.json"


def secret(tls: ServerTls) -> Message:
    """The SDS file of the gateway's own certificate; that is read again, like the mesh's, when it is renewed."""
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
                "tls_certificate_sds_secret_configs": [mtls.secret(_NAME, secret_file(tls))],
                **mtls.alpn(protocols),
            },
        ),
    }
