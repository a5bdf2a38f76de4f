"""What Envoy can do, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.ir import Feature
from meshctl.targets.base import Capability, Conflict, Native

VERSION = "1.40.0"

CAPABILITIES: Mapping[Feature, Capability] = {feature: Native() for feature in Feature}

CONFLICTS: tuple[Conflict, ...] = ()
