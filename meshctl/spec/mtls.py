"""`mtls` and `certificates`: how sidecars prove who they are."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Date, Given, Model, PositiveDuration

TlsVersion = Literal["1.2", "1.3"]
CipherSuite = Literal[
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"
]


class MtlsSpec(Model):
    """Between sidecars. `minVersion` is that of TLS, `cipherSuites` those of TLS 1.2, `crl` looks into revocation lists."""

    mode: Given[Literal["strict", "permissive", "disabled"]] = None
    until: Given[Date] = None
    min_version: Given[TlsVersion] = None
    cipher_suites: Given[list[CipherSuite]] = None
    crl: Given[bool] = None


class CertificatesSpec(Model):
    """Leaves live for `lifetime` and are due `renewBefore` their end."""

    lifetime: Given[PositiveDuration] = None
    renew_before: Given[PositiveDuration] = None
    key_type: Given[Literal["ecdsa-p256"]] = None
