"""What a platform needs around the bundles: each is a function from workloads to files. They decide nothing about requests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from meshctl.artifacts import Document
from meshctl.platforms import compose, kubernetes, systemd
from meshctl.platforms.base import Check, Emitter, Image, Options, Workload


class Platform(StrEnum):
    """Who starts the sidecars."""

    SYSTEMD = "systemd"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


EMITTERS: Mapping[Platform, Emitter] = {
    Platform.SYSTEMD: systemd.emit,
    Platform.COMPOSE: compose.emit,
    Platform.KUBERNETES: kubernetes.emit,
}

CHECKS: Mapping[Platform, Check] = {
    Platform.SYSTEMD: systemd.check,
    Platform.COMPOSE: compose.check,
    Platform.KUBERNETES: kubernetes.check,
}

__all__ = ["CHECKS", "EMITTERS", "Check", "Document", "Emitter", "Image", "Options", "Platform", "Workload"]
