"""Envoy: one static bootstrap in JSON, certificates from files that are watched."""

from meshctl.ir import Proxy
from meshctl.targets.envoy.assemble import emit
from meshctl.targets.envoy.capabilities import CAPABILITIES, CONFLICTS, VERSION
from meshctl.targets.envoy.process import COMMANDS

PROXY = Proxy.ENVOY

__all__ = ["CAPABILITIES", "COMMANDS", "CONFLICTS", "PROXY", "VERSION", "emit"]
