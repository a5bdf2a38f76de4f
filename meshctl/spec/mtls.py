"""`mtls` and `certificates`: how sidecars prove who they are."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Given, Model, PositiveDuration


class MtlsSpec(Model):
    """Between sidecars. `minVersion` is that of TLS."""

    mode: Given[Literal["strict"]] = None
    min_version: Given[Literal["1.2", "1.3"]] = None


class CertificatesSpec(Model):
    """Leaves live for `lifetime` and are due `renewBefore` their end."""

    lifetime: Given[PositiveDuration] = None
    renew_before: Given[PositiveDuration] = None
