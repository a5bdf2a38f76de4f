"""What becomes of a host that no virtual host has."""

from __future__ import annotations

from meshctl.ir import OutboundListener, Route


def unknown(outbound: OutboundListener, name: str) -> Route | int:
    """The route out of the mesh, or the status of the answer where there is none."""
    if outbound.domain and _is_of_the_mesh(name, outbound.domain):
        return 403
    return outbound.egress or 404


def _is_of_the_mesh(name: str, domain: str) -> bool:
    return ("." not in name and not name.startswith("[")) or name.endswith(f".{domain}")
