"""Identities as resources of cert-manager (``cert-manager.io/v1``), which then makes keys and renews by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import Struct

from meshctl.diagnostics import UsageError
from meshctl.pki.identities import Holder, Identities

SHORTEST_LIFETIME = timedelta(hours=1)
SHORTEST_WINDOW = timedelta(minutes=5)
"""Both from cert-manager's validation of ``duration`` and ``renewBefore``."""


class IssuerReference(Struct, frozen=True):
    """Who signs, in cert-manager's words."""

    name: str
    kind: str
    group: str


def certificates(
    identities: Identities, issuer: IssuerReference, namespace: str | None
) -> list[dict[str, Any]]:
    """One ``Certificate`` for each bundle, each with a Secret of its own. Raises UsageError for lifetimes too short."""
    policy = identities.policy
    if policy.lifetime < SHORTEST_LIFETIME or policy.renew_before < SHORTEST_WINDOW:
        raise UsageError(
            "cert-manager takes no `lifetime` under 1h and no `renewBefore` under 5m (mesh.certificates)"
        )
    return [_certificate(holder, identities, issuer, namespace) for holder in identities.holders]


def _certificate(
    holder: Holder, identities: Identities, issuer: IssuerReference, namespace: str | None
) -> dict[str, Any]:
    identity, name = holder.identity, _name(holder)
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            "labels": {
                "app.kubernetes.io/managed-by": "meshctl",
                "app.kubernetes.io/part-of": identities.mesh,
            },
        },
        "spec": {
            "secretName": name,
            "commonName": identity.service,
            "subject": {"organizations": [identity.trust_domain]},
            "uris": [identity.spiffe_id],
            "dnsNames": [identity.dns_name],
            "isCA": False,
            "usages": ["digital signature", "server auth", "client auth"],
            "privateKey": {
                "algorithm": "ECDSA",
                "size": 256,
                "encoding": "PKCS8",
                "rotationPolicy": "Always",
            },
            "duration": _duration(identities.policy.lifetime),
            "renewBefore": _duration(identities.policy.renew_before),
            "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
        },
    }


def _name(holder: Holder) -> str:
    """A DNS subdomain (RFC 1123), as Kubernetes wants it: no colon of an IPv6 address."""
    instance = f".{holder.instance.replace(':', '-').strip('-').lower()}" if holder.instance else ""
    return f"mesh-{holder.service}{instance}"


def _duration(length: timedelta) -> str:
    """As Go prints it, so that what the cluster holds equals what git does."""
    seconds = int(length.total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}h{minutes}m{seconds % 60}s" if hours else f"{minutes}m{seconds % 60}s"
