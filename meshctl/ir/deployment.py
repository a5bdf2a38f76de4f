"""What a platform has to know of a sidecar beside what the sidecar itself must do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meshctl.diagnostics import Position
from meshctl.ir.mesh import Sidecar


@dataclass(frozen=True, slots=True)
class HeadlessService:
    """The name under which a cluster's DNS tells the addresses of pods. An empty ``namespace`` is the default one."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Deployment:
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
