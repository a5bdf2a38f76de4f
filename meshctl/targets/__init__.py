"""Emitters: one frozen Sidecar in, one proxy's files out. They decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import cast

from meshctl.ir import Proxy
from meshctl.targets.base import Target

TARGETS: Mapping[Proxy, str] = {
    Proxy.ENVOY: "meshctl.targets.envoy",
    Proxy.HAPROXY: "meshctl.targets.haproxy",
    Proxy.NGINX: "meshctl.targets.nginx",
}


@cache
def target(proxy: Proxy) -> Target:
    """The target for ``proxy``, imported when first asked for."""
    return cast(Target, import_module(TARGETS[proxy]))
