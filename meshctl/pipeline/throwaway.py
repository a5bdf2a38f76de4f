"""Stand-ins for files of a host that is not this one: certificates of gateways, CAs of externals.

A proxy refuses to check, let alone to start, without the files that its configuration names.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from meshctl import ir
from meshctl.pki.issue import Issued


def needs_files(sidecar: ir.Sidecar) -> bool:
    """Whether its configuration names files of its host."""
    return sidecar.outbound.tls is not None or any(
        each.origin is not None and each.origin.tls is not None for each in sidecar.clusters
    )


def with_files_below(sidecar: ir.Sidecar, root: Path, issued: Issued) -> ir.Sidecar:
    """An equivalent sidecar whose files are below ``root``, where they are written."""
    tls = sidecar.outbound.tls
    if tls is not None:
        tls = structs.replace(
            tls,
            certificate=_written(root, tls.certificate, issued.chain_pem),
            # HAProxy finds a key by the name of its certificate only; its `run` sees to that elsewhere.
            key=_written(root, f"{tls.certificate}.key", issued.key_pem),
        )
    return structs.replace(
        sidecar,
        outbound=structs.replace(sidecar.outbound, tls=tls),
        clusters=tuple(_cluster(each, root, issued) for each in sidecar.clusters),
    )


def _cluster(cluster: ir.Cluster, root: Path, issued: Issued) -> ir.Cluster:
    if cluster.origin is None or cluster.origin.tls is None:
        return cluster
    authorities = _written(root, cluster.origin.tls.authorities, issued.trust_pem)
    tls = structs.replace(cluster.origin.tls, authorities=authorities)
    return structs.replace(cluster, origin=structs.replace(cluster.origin, tls=tls))


def _written(root: Path, path: str, content: bytes) -> str:
    # Below the root it keeps its own path, for some proxies look for files beside it.
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.touch(mode=0o600)
    where.write_bytes(content)
    return str(where)
