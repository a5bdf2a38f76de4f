"""Rules around the sidecars: each format is a function from perimeters to files. They decide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from meshctl.artifacts import Artifact
from meshctl.ir.segmentation import Perimeter
from meshctl.segmentation import kubernetes, nftables, systemd
from meshctl.segmentation.naming import Naming


class Segmenter(StrEnum):
    """Who keeps the rules."""

    NFTABLES = "nftables"
    SYSTEMD = "systemd"
    KUBERNETES = "kubernetes"


class Options(Struct, frozen=True):
    """How what the perimeters speak of is called where the rules are kept, and whether connections are intercepted."""

    naming: Naming
    intercept: bool = False


class Emitter(Protocol):
    """Pure: the same perimeters, the same bytes. Raises UsageError for what its format cannot do."""

    def __call__(
        self, perimeters: Iterable[Perimeter], naming: Naming, *, intercept: bool
    ) -> Iterable[Artifact]:
        """The files."""
        ...


EMITTERS: Mapping[Segmenter, Emitter] = {
    Segmenter.NFTABLES: nftables.emit,
    Segmenter.SYSTEMD: systemd.emit,
    Segmenter.KUBERNETES: kubernetes.emit,
}
"""Every path begins with the format's name and the service's."""
