"""Who needs a certificate, and where: the identity manifest that a build writes.

It holds no secret and needs no key, so it can be committed; it is what the certificate commands, and
whoever issues by other means, work from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from msgspec import Struct, structs

from meshctl.diagnostics import UsageError
from meshctl.ir import CertificatePolicy, Mesh, WorkloadIdentity

SCHEMA_VERSION = 2

_LONGEST = timedelta(days=3650)
"""As of durations in a spec; with a longer one, moments leave the calendar."""
_SERVICE = re.compile("[a-z0-9-]{1,63}")
_TRUST_DOMAIN = re.compile("[a-z0-9.-]{1,64}")
_DOMAIN = re.compile("[a-z0-9.-]{1,253}")


class Holder(Struct, frozen=True):
    """One bundle and the identity that it proves. Instances of a service share the identity, not the key."""

    service: str
    instance: str
    """The folder under the service's; empty where all endpoints share one."""
    identity: WorkloadIdentity
    alone: bool = False
    """Whether its bundle is by itself, as on the host that runs it, and not in a build."""

    @property
    def folder(self) -> tuple[str, ...]:
        """The bundle's folder below the build's, name by name; of one that is alone, the folder itself."""
        return () if self.alone else self._names

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.service, self.instance) if self.instance else (self.service,)

    def __str__(self) -> str:
        return "/".join(self._names)


class Identities(Struct, frozen=True):
    """Every bundle of a mesh that needs a certificate, and how long these live."""

    mesh: str
    policy: CertificatePolicy
    holders: tuple[Holder, ...]
    crl: bool = False
    """Whether the sidecars look certificates up in lists of revoked ones."""


def identities_of(mesh: Mesh) -> Identities:
    """The identities of a resolved mesh, in the order of its sidecars."""
    holders = (Holder(each.service, each.instance, each.identity) for each in mesh.sidecars)
    crl = any(each.tls.crl for each in mesh.sidecars)
    return Identities(mesh.name, mesh.certificates, tuple(holders), crl)


def render_identities(identities: Identities) -> bytes:
    """The manifest: JSON, the same bytes for the same mesh. Durations are whole seconds."""
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "mesh": identities.mesh,
        "lifetimeSeconds": int(identities.policy.lifetime.total_seconds()),
        "renewBeforeSeconds": int(identities.policy.renew_before.total_seconds()),
        **({"crl": True} if identities.crl else {}),
        "identities": [_entry(holder) for holder in _sorted(identities.holders)],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def render_identity(identities: Identities, holder: Holder) -> bytes:
    """The manifest of one bundle, in the same words: all that its host needs to know to get a certificate for it."""
    return render_identities(structs.replace(identities, holders=(holder,)))


def parse_identity(text: bytes) -> Identities:
    """What :func:`render_identity` wrote, for a bundle that is alone. Raises UsageError on anything else."""
    found = parse_identities(text)
    if len(found.holders) != 1:
        raise UsageError("the identity manifest of a bundle names one identity; build again")
    return structs.replace(found, holders=(structs.replace(found.holders[0], alone=True),))


def parse_identities(text: bytes) -> Identities:
    """What :func:`render_identities` wrote. Raises UsageError on anything else."""
    try:
        document = json.loads(text)
        if document["schemaVersion"] != SCHEMA_VERSION:
            raise UsageError(
                f"the identity manifest has schemaVersion {document['schemaVersion']!r}, not {SCHEMA_VERSION}; build again"
            )
        policy = CertificatePolicy(
            lifetime=_duration(document["lifetimeSeconds"]),
            renew_before=_duration(document["renewBeforeSeconds"]),
        )
        holders = tuple(_holder(entry) for entry in document["identities"])
        return Identities(str(document["mesh"]), policy, holders, document.get("crl", False) is True)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UsageError("the identity manifest is not one that meshctl wrote; build again") from error


def _entry(holder: Holder) -> dict[str, str | list[str]]:
    identity = holder.identity
    return {
        "service": holder.service,
        "instance": holder.instance,
        "spiffeId": identity.spiffe_id,
        "dnsNames": list(identity.dns_names),
        "subject": identity.distinguished_name,
    }


def _duration(seconds: Any) -> timedelta:  # noqa: ANN401 - a JSON value, whatever it is
    found = timedelta(seconds=int(seconds))
    if not timedelta(0) <= found <= _LONGEST:
        raise ValueError(seconds)
    return found


def _holder(entry: Any) -> Holder:  # noqa: ANN401 - a JSON value, whatever it is
    service, instance = str(entry["service"]), str(entry["instance"])
    for name in (service, *([instance] if instance else [])):
        # These become folder names: a manifest from elsewhere must not lead out of the build.
        if name in ("", ".", "..") or "/" in name or not (name.isascii() and name.isprintable()):
            raise ValueError(name)
    identity = WorkloadIdentity(
        service=service,
        trust_domain=str(entry["spiffeId"]).removeprefix("spiffe://").removesuffix(f"/{service}"),
        domain=str(entry["dnsNames"][0]).removeprefix(f"{service}."),
    )
    # What no spec can say no certificate can hold.
    if not (
        _SERVICE.fullmatch(service)
        and _TRUST_DOMAIN.fullmatch(identity.trust_domain)
        and _DOMAIN.fullmatch(identity.domain)
    ):
        raise ValueError(identity)
    holder = Holder(service, instance, identity)
    if _entry(holder) != entry:
        raise ValueError("the names of an identity do not belong together")
    return holder


def _sorted(holders: Iterable[Holder]) -> list[Holder]:
    return sorted(holders, key=lambda holder: (holder.service, holder.instance))
