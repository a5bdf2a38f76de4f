"""Names and versions of the hop."""

from __future__ import annotations

from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Tls
from meshctl.targets.haproxy.quoting import Token


def tls(context: ir.TlsContext) -> Tls:
    """The versions; files have fixed places and stand in the template."""
    return Tls(_version(context.minimum_version), _version(context.maximum_version))


def server_name(cluster: ir.Cluster) -> Token:
    """What is sent as SNI and verified in the certificate of whoever answers."""
    return quoting.word(cluster.workload.dns_name)


def server_name_sample(cluster: ir.Cluster) -> Token:
    """The same as a sample, which is what ``sni`` takes."""
    return quoting.string(cluster.workload.dns_name)


def subject(identity: ir.WorkloadIdentity) -> Token:
    """A regular expression for the whole subject of any workload of the trust domain, and nothing else.

    No repeated group in it, so that no length of a subject makes the expression give up.
    """
    return quoting.regex(f"^CN=[A-Za-z0-9._-]+,O={quoting.literal_regex(identity.trust_domain)}$")


def _version(version: ir.TlsVersion) -> Token:
    match version:
        case ir.TlsVersion.V1_2:
            return Token("TLSv1.2")
        case ir.TlsVersion.V1_3:
            return Token("TLSv1.3")
        case _:
            assert_never(version)
