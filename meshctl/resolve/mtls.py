"""Identities, TLS and certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from msgspec.structs import replace

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import rate_limiting
from meshctl.resolve.layers import callee_layers
from meshctl.spec import Source, Spec
from meshctl.spec.mtls import CertificatesSpec, ModeSpec

DEFAULT_LIFETIME = timedelta(days=30)
DEFAULT_RENEW_BEFORE = timedelta(days=10)

_FEATURES = {
    ir.MtlsMode.PERMISSIVE: ir.Feature.MTLS_PERMISSIVE,
    ir.MtlsMode.DISABLED: ir.Feature.MTLS_DISABLED,
}


def identity(spec: Spec, service: str) -> ir.WorkloadIdentity:
    """Who a service is."""
    mesh = spec.written.mesh
    return ir.WorkloadIdentity(service, mesh.trust_domain, mesh.domain)


def tls_context(spec: Spec) -> ir.TlsContext:
    """TLS 1.3, unless an older minimum was written."""
    mtls = spec.written.mesh.mtls
    if mtls is None:
        return ir.TlsContext(ir.TlsVersion.V1_3)
    return ir.TlsContext(
        ir.TlsVersion(mtls.min_version or "1.3"),
        cipher_suites=tuple(mtls.cipher_suites or ()),
        crl=bool(mtls.crl),
        at=spec.source["mesh"].at("mtls"),
    )


def own_context(
    tls: ir.TlsContext, inbound: ir.InboundListener | None, clusters: Iterable[ir.Cluster]
) -> ir.TlsContext:
    """That of one sidecar: without revocation lists where nobody ever shows it a certificate of the mesh."""
    taken = inbound is not None and inbound.mtls is not ir.MtlsMode.DISABLED
    shown = taken or any(each.identity is not None and not each.plaintext for each in clusters)
    return replace(tls, crl=tls.crl and shown)


def mode(spec: Spec, service: str) -> ir.MtlsMode:
    """What the sidecars of a service take: as it says itself, or the mesh; strict where both are silent."""
    own, mesh = (spec.written.services or {})[service].mtls, spec.written.mesh.mtls
    written = (own.mode if own is not None else None) or (mesh.mode if mesh is not None else None)
    return ir.MtlsMode(written or ir.MtlsMode.STRICT)


def asks(spec: Spec, service: str) -> tuple[ir.FeatureUse, ...]:
    """The feature behind the mode of a service, where it was written; that of strict is the TLS context's."""
    feature = _FEATURES.get(mode(spec, service))
    if feature is None:
        return ()
    own = spec.source["services"][service].at("mtls", "mode")
    at = own or spec.source["mesh"].at("mtls", "mode")
    return (ir.FeatureUse(feature, at),) if at is not None else ()


def certificate_policy(spec: Spec) -> ir.CertificatePolicy:
    """How long leaves live."""
    written = spec.written.mesh.certificates or CertificatesSpec.model_construct()
    return ir.CertificatePolicy(
        written.lifetime or DEFAULT_LIFETIME, written.renew_before or DEFAULT_RENEW_BEFORE
    )


def check(spec: Spec) -> Iterator[Finding]:
    """Faults of the sections `certificates` and `mtls`."""
    for written, source in _modes(spec):
        yield from _check_mode(spec, written, source)
    yield from _check_suites(spec)
    yield from _check_lists(spec)
    yield from _check_limits(spec)
    yield from _check_domain(spec)
    policy = certificate_policy(spec)
    if policy.renew_before >= policy.lifetime:
        yield finding(
            "renewal-window-too-long",
            spec.source["mesh"].at("certificates"),
            f"certificates live for {ir.duration_text(policy.lifetime)} and are due "
            f"{ir.duration_text(policy.renew_before)} before their end",
        )


def _modes(spec: Spec) -> Iterator[tuple[ModeSpec, Source]]:
    """Every `mtls` that is written, the mesh's first."""
    if spec.written.mesh.mtls is not None:
        yield spec.written.mesh.mtls, spec.source["mesh"]["mtls"]
    for name, service in (spec.written.services or {}).items():
        if service.mtls is not None:
            yield service.mtls, spec.source["services"][name]["mtls"]


def _check_mode(spec: Spec, written: ModeSpec, source: Source) -> Iterator[Finding]:
    if written.mode == "permissive" and written.until is None:
        message = "`permissive` is a way to `strict`, so it has an end"
        yield finding("missing-key", source.at("mode"), message, fix="Write `until`, a date.")
    if written.mode != "permissive" and written.until is not None:
        message = "`until` is the end of `mode: permissive`"
        yield finding("ineffective-setting", source.at("until"), message, remove=source.part("until"))
    authorization = spec.written.mesh.authorization
    if written.mode == "disabled" and (authorization is None or authorization.mode != "open"):
        message = "without certificates nobody is known, so nobody could be let in"
        fix = "Write `mesh.authorization: {mode: open}` too, if that is what you want."
        yield finding("missing-key", source.at("mode"), message, fix=fix)


def _check_suites(spec: Spec) -> Iterator[Finding]:
    written = spec.written.mesh.mtls
    if written is not None and written.cipher_suites and written.min_version != "1.2":
        message = "`cipherSuites` are those of TLS 1.2, and `minVersion` leaves only TLS 1.3"
        source = spec.source["mesh"]["mtls"]
        idle = source.part("cipherSuites")
        yield finding("ineffective-setting", source.at("cipherSuites"), message, remove=idle)


def _check_lists(spec: Spec) -> Iterator[Finding]:
    """Revocation lists where no certificate is ever shown."""
    written, services = spec.written.mesh.mtls, spec.written.services or {}
    plaintext = services and all(mode(spec, name) is ir.MtlsMode.DISABLED for name in services)
    if written is not None and written.crl and plaintext:
        message = "`crl` looks certificates up, and with `mode: disabled` at every service nobody shows one"
        source = spec.source["mesh"]["mtls"]
        yield finding("ineffective-setting", source.at("crl"), message, remove=source.part("crl"))


def _check_domain(spec: Spec) -> Iterator[Finding]:
    """A domain whose hosts are another mesh's names of identities."""
    if spec.written.mesh.domain.partition(".")[0] == ir.RESERVED_LABEL:
        message = (
            f"`<service>.{ir.RESERVED_LABEL}.<trust domain>` is the name that sidecars know each other by"
        )
        yield finding("reserved-name", spec.source["mesh"].at("domain"), message)


def _check_limits(spec: Spec) -> Iterator[Finding]:
    """Limits for each caller of a service that knows none."""
    for name in spec.written.services or {}:
        limit = rate_limiting.rate_limit(callee_layers(spec, name))
        if limit is not None and limit.by_caller and mode(spec, name) is ir.MtlsMode.DISABLED:
            message = f"`key: caller` of `{name}`: with `mtls: {{mode: disabled}}` all its callers are one"
            yield finding("ineffective-setting", limit.at, message)


def ended(spec: Spec, today: date) -> Iterator[Finding]:
    """Permissive modes that have outlived their date; the last day still counts."""
    for written, source in _modes(spec):
        if written.mode == "permissive" and written.until is not None and written.until < today:
            message = f"`permissive` was to end on {written.until}, and plaintext is still let in"
            yield finding("permissive-ended", source.at("until"), message)
