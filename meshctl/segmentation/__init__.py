"""Rules around the sidecars: each format is a function from perimeters to files. They decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from meshctl.artifacts import Artifact
from meshctl.ir.segmentation import Perimeter
from meshctl.segmentation import kubernetes, nftables, systemd
from meshctl.segmentation.naming import Naming


class Segmenter(StrEnum):
    """Who keeps the rules."""

    NFTABLES = "nftables"
    SYSTEMD = "systemd"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Options:
    """How what the perimeters speak of is called where the rules are kept, and whether connections are intercepted."""

    naming: Naming
    intercept: bool = False


EMITTERS: Mapping[Segmenter, Callable[[Iterable[Perimeter], Naming, bool], Iterable[Artifact]]] = {
    Segmenter.NFTABLES: nftables.emit,
    Segmenter.SYSTEMD: systemd.emit,
    Segmenter.KUBERNETES: kubernetes.emit,
}
"""Every path begins with the format's name and the service's."""
