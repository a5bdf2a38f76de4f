"""Identities, TLS and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import pending
from meshctl.spec import Spec
from meshctl.spec.mtls import CertificatesSpec

DEFAULT_LIFETIME = timedelta(days=30)
DEFAULT_RENEW_BEFORE = timedelta(days=10)


def identity(spec: Spec, service: str) -> ir.WorkloadIdentity:
    """Who a service is."""
    mesh = spec.written.mesh
    return ir.WorkloadIdentity(service, mesh.trust_domain, mesh.domain)


def tls_context(spec: Spec) -> ir.TlsContext:
    """Strict mTLS with TLS 1.3, unless an older minimum was written."""
    mtls = spec.written.mesh.mtls
    if mtls is None:
        return ir.TlsContext(ir.TlsVersion.V1_3)
    return ir.TlsContext(
        ir.TlsVersion(mtls.min_version or "1.3"),
        cipher_suites=tuple(mtls.cipher_suites or ()),
        asks=pending.of_tls(spec),
        at=spec.source["mesh"].at("mtls"),
    )


def certificate_policy(spec: Spec) -> ir.CertificatePolicy:
    """How long leaves live."""
    written = spec.written.mesh.certificates or CertificatesSpec()
    return ir.CertificatePolicy(
        written.lifetime or DEFAULT_LIFETIME, written.renew_before or DEFAULT_RENEW_BEFORE
    )


def check(spec: Spec) -> Iterator[Finding]:
    """Faults of the certificates section."""
    policy = certificate_policy(spec)
    if policy.renew_before >= policy.lifetime:
        yield finding(
            "renewal-window-too-long",
            spec.source["mesh"].at("certificates"),
            f"certificates live for {ir.duration_text(policy.lifetime)} and are due "
            f"{ir.duration_text(policy.renew_before)} before their end",
        )
