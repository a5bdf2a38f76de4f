"""Who shows which certificate on a hop, and who verifies it."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Cluster, Sidecar
from meshctl.simulate.steps import Step, Topic


def told(caller: Sidecar, cluster: Cluster) -> Iterator[Step]:
    """The hop from the caller's sidecar to the callee's, or out of the mesh."""
    if cluster.plaintext:
        over = "HTTP/2" if cluster.protocol.multiplexed else "HTTP/1.1"
        text = f"plain {over}: nobody shows a certificate, and anybody on the way can read and change it"
        yield Step(Topic.TLS, text, path=("services", cluster.workload.service, "mtls"))
        return
    if cluster.identity is not None:
        least, most = caller.tls.minimum_version, caller.tls.maximum_version
        version = f"TLS {least}" if least is most else f"TLS {least} or {most}"
        over = "HTTP/2" if cluster.protocol.multiplexed else "HTTP/1.1"
        text = (
            f"{over} over mutual {version}: shows {caller.identity.spiffe_id}, "
            f"verifies {cluster.identity.server_name} ({cluster.identity.spiffe_id})"
        )
        yield Step(Topic.TLS, text, caller.tls.at)
        return
    origin = cluster.origin.tls if cluster.origin is not None else None
    if origin is None:
        yield Step(Topic.TLS, "out of the mesh in plain HTTP/1.1, with no identity")
        return
    name = origin.server_name or "the request's host"
    text = (
        f"out of the mesh over TLS {origin.minimum_version} or newer: shows no certificate, "
        f"verifies {name} by {origin.authorities}"
    )
    yield Step(Topic.TLS, text, origin.at)
