"""What a platform has to know of a sidecar beside what the sidecar itself must do."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.mesh import Sidecar


class HeadlessService(Struct, frozen=True):
    """The name under which a cluster's DNS tells the addresses of pods. An empty ``namespace`` is the default one."""

    name: str
    namespace: str


class Deployment(Struct, frozen=True):
    """A sidecar, and where it runs.

    ``hosts`` are the addresses that the spec lists for it, sorted; none where callers look them up, by ``headless`` where a
    cluster says them. Its certificate is due ``renew_before`` its end. ``at`` is where the spec says all that.
    """

    sidecar: Sidecar
    hosts: tuple[str, ...]
    headless: HeadlessService | None
    renew_before: timedelta
    at: Position | None

    @property
    def name(self) -> str:
        """Service and instance, as the bundle's folder is called."""
        its = self.sidecar
        return f"{its.service}/{its.instance}" if its.instance else its.service
