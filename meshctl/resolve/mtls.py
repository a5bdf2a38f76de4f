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
        crl=bool(mtls.crl),
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
    """Faults of the sections `certificates` and `mtls`."""
    yield from _check_mode(spec)
    policy = certificate_policy(spec)
    if policy.renew_before >= policy.lifetime:
        yield finding(
            "renewal-window-too-long",
            spec.source["mesh"].at("certificates"),
            f"certificates live for {ir.duration_text(policy.lifetime)} and are due "
            f"{ir.duration_text(policy.renew_before)} before their end",
        )


def _check_mode(spec: Spec) -> Iterator[Finding]:
    written = spec.written.mesh.mtls
    if written is None:
        return
    source = spec.source["mesh"]["mtls"]
    if written.mode == "permissive" and written.until is None:
        message = "`permissive` is a way to `strict`, so it has an end"
        yield finding("missing-key", source.at("mode"), message, fix="Write `until`, a date.")
    if written.mode != "permissive" and written.until is not None:
        yield finding("ineffective-setting", source.at("until"), "`until` is the end of `mode: permissive`")
    authorization = spec.written.mesh.authorization
    if written.mode == "disabled" and (authorization is None or authorization.mode != "open"):
        message = "without certificates nobody is known, so nobody could be let in"
        fix = "Write `authorization: {mode: open}` too, if that is what you want."
        yield finding("missing-key", source.at("mode"), message, fix=fix)
    if written.cipher_suites and written.min_version != "1.2":
        message = "`cipherSuites` are those of TLS 1.2, and `minVersion` leaves only TLS 1.3"
        yield finding("ineffective-setting", source.at("cipherSuites"), message)
