"""The sidecars of a world, which its rows may stop and start again."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshctl.live.processes import Process, ProcessGroup
from meshctl.live.sidecars import Bundle, start


@dataclass(frozen=True)
class Fleet:
    """Those that run, by the name of their bundle."""

    group: ProcessGroup
    running: dict[str, Process] = field(default_factory=dict)

    def start(self, *bundles: Bundle) -> None:
        """Until each of them serves."""
        for bundle, process in zip(bundles, start(bundles, self.group), strict=True):
            self.running[bundle.name] = process

    def stop(self, bundle: Bundle) -> None:
        """End its sidecar, which then is not missed at the end."""
        self.group.stop([self.running.pop(bundle.name)])
