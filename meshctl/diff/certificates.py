"""Whose certificates have to be issued because of a change."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.diff.renaming import Names
from meshctl.ir import duration_text
from meshctl.ir.change import Consequence, Effect


def certificates(before: ir.Mesh, after: ir.Mesh, names: Names) -> Iterator[Consequence]:
    """What `meshctl certs` will find of the bundles of ``before`` once they are those of ``after``."""
    old = {(names.get(each.service, each.service), each.instance): each.identity for each in before.sidecars}
    known = {service: identity for (service, _), identity in old.items()}
    reissued: dict[str, set[str]] = {}
    issued: dict[str, set[str]] = {}
    for each in after.sidecars:
        was = known.get(each.service)
        if was is None:
            issued.setdefault("new", set()).add(each.service)
        elif was != each.identity:
            reissued.setdefault(_why(was, each.identity), set()).add(each.service)
        elif (each.service, each.instance) not in old:
            issued.setdefault("in new bundles", set()).add(each.service)
    for reason, services in sorted(reissued.items()):
        text = f"certificates of {_counted(services)} will be re-issued: {reason}"
        yield Consequence(Effect.REISSUED, tuple(sorted(services)), text)
    for kind, services in sorted(issued.items()):
        text = f"certificates will be issued for {_counted(services)}, {kind}"
        yield Consequence(Effect.ISSUED, tuple(sorted(services)), text)
    if known:
        yield from _policy(before.certificates, after.certificates, tuple(sorted(known)))


def _why(before: ir.WorkloadIdentity, after: ir.WorkloadIdentity) -> str:
    differ = (
        ("the trust domain is", before.trust_domain, after.trust_domain),
        ("the domain is", before.domain, after.domain),
        ("the name is", before.service, after.service),
    )
    return ", ".join(f"{what} {new}, not {old}" for what, old, new in differ if old != new)


def _policy(
    before: ir.CertificatePolicy, after: ir.CertificatePolicy, services: tuple[str, ...]
) -> Iterator[Consequence]:
    if before.lifetime != after.lifetime:
        text = (
            f"certificates of {_counted(services)} will be re-issued for {duration_text(after.lifetime)}, each when it is "
            "due: none at once"
        )
        yield Consequence(Effect.LIFETIME, services, text)
    if before.renew_before != after.renew_before:
        text = f"certificates are due for renewal {duration_text(after.renew_before)} before they end"
        sooner = after.renew_before > before.renew_before
        yield Consequence(
            Effect.LIFETIME,
            services,
            f"{text}: those with less left are re-issued at once" if sooner else text,
        )


def _counted(services: set[str] | tuple[str, ...]) -> str:
    return f"{len(services)} service{'' if len(services) == 1 else 's'}"
