"""Names that Kubernetes has to take."""

from __future__ import annotations

import re

from meshctl.diagnostics import UsageError
from meshctl.platforms.base import Options

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
"""What runs pods for good."""

_LABEL = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)


def label_key(options: Options) -> str:
    """Raises UsageError where it is none."""
    if not _LABEL.fullmatch(options.label):
        raise UsageError(f"{options.label!r} is not the key of a label in Kubernetes")
    return options.label


def workload_kind(options: Options, service: str) -> str:
    """What runs the pods of a service. Raises UsageError for what runs none."""
    kind = options.workloads.get(service, KINDS[0])
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not one of {', '.join(KINDS)}")
    return kind
