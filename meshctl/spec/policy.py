"""The traffic policy of a service: what `defaults`, a service and a call may all say."""

from __future__ import annotations

from meshctl.spec.retries import RetriesSpec
from meshctl.spec.timeouts import TimeoutsSpec
from meshctl.spec.types import Given


class TrafficPolicySpec(TimeoutsSpec):
    """Later layers win: defaults, then the callee, then the call, then the route."""

    retries: Given[RetriesSpec] = None


class DefaultsSpec(TrafficPolicySpec):
    """`defaults`: any field of a service's traffic policy."""


class CallSpec(TrafficPolicySpec):
    """One entry of `calls`: the callee's traffic policy, narrowed for this caller. May be ``{}``."""
