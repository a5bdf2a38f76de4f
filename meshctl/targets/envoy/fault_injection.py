"""Failures on purpose."""

from __future__ import annotations

from meshctl.ir import Abort, Delay, OutboundListener, Route
from meshctl.ir.mesh import CARRIED_STATUS, HOP_STATUS, STATUS_HEADER
from meshctl.targets.envoy.protobuf import Message, duration, fraction, typed
from meshctl.targets.envoy.routes import routes_of

FAULT = "fault"
"""The filter; routes keep what is theirs under its name."""

_EVERY_REQUEST = 2**32 - 1


def http_filters(listener: OutboundListener) -> list[Message]:
    """The filter, where a route has a fault; by itself it does nothing, whatever a client's headers say."""
    if not any(route.fault for route in routes_of(listener)):
        return []
    return [{"name": FAULT, "typed_config": typed("filters.http.fault.v3.HTTPFault")}]


def route_config(route: Route) -> Message:
    """``typed_per_filter_config`` of a Route."""
    if route.fault is None:
        return {}
    config: Message = {"max_active_faults": _EVERY_REQUEST, "disable_downstream_cluster_stats": True}
    if route.fault.delay:
        config["delay"] = _delay(route.fault.delay)
    if route.fault.abort:
        config["abort"] = _abort(route.fault.abort)
    return {FAULT: typed("filters.http.fault.v3.HTTPFault", **config)}


def local_replies(listener: OutboundListener) -> list[Message]:
    """A mapper for aborts with the status that between sidecars means something else, see hop_status."""
    aborts = {route.fault.abort.status for route in routes_of(listener) if route.fault and route.fault.abort}
    if HOP_STATUS not in aborts:
        return []
    value = {"default_value": HOP_STATUS, "runtime_key": "meshctl.abort"}
    conditions = [
        {"response_flag_filter": {"flags": ["FI"]}},
        {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}},
    ]
    header = {"key": STATUS_HEADER, "value": str(HOP_STATUS)}
    return [
        {
            "filter": {"and_filter": {"filters": conditions}},
            "status_code": CARRIED_STATUS,
            "headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        }
    ]


def _delay(delay: Delay) -> Message:
    return {"fixed_delay": duration(delay.duration), "percentage": fraction(delay.share)}


def _abort(abort: Abort) -> Message:
    return {"http_status": abort.status, "percentage": fraction(abort.share)}
