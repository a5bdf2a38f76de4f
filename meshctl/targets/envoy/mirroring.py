"""Copies of requests."""

from __future__ import annotations

from meshctl.ir import Route
from meshctl.targets.envoy import status_match
from meshctl.targets.envoy.protobuf import Message, fraction, typed

_ADDED_TO = "x-forwarded-for"
_KEPT = "x-mesh-forwarded-for"
_COPY = "x-mesh-copy"
"""Marks a copy until it leaves the sidecar."""


def mirrors(route: Route) -> Message:
    """Field of a RouteAction."""
    if not route.mirrors:
        return {}
    return {
        "request_mirror_policies": [
            {
                "cluster": mirror.cluster,
                "runtime_fraction": {"default_value": fraction(mirror.share)},
                "disable_shadow_host_suffix_append": True,
                "request_headers_mutations": [{"remove": _KEPT}, _set(_KEPT, _ADDED_TO), _mark()],
            }
            for mirror in route.mirrors
        ]
    }


def copy_filter() -> Message:
    """A filter of a cluster that gets copies. Envoy adds to them what it adds to requests of its own."""
    mutations = [
        {"remove": "x-envoy-internal"},
        {"remove": _ADDED_TO},
        _set(_ADDED_TO, _KEPT),
        {"remove": _KEPT},
        {"remove": _COPY},
    ]
    config = typed(
        "filters.http.header_mutation.v3.HeaderMutation", mutations={"request_mutations": mutations}
    )
    read = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=_COPY)
    a_copy = {
        "single_predicate": {"input": {"name": "mark", "typed_config": read}, "value_match": {"exact": "1"}}
    }
    return status_match.skipping("copy-headers", {"not_matcher": a_copy}, config)


def _set(name: str, origin: str) -> Message:
    return {
        "append": {
            "header": {"key": name, "value": f"%REQ({origin})%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }


def _mark() -> Message:
    header = {"key": _COPY, "value": "1"}
    return {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
