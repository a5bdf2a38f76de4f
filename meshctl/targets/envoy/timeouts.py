"""How long a request and an idle connection may last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from meshctl.ir import OutboundListener, Route
from meshctl.targets.envoy.protobuf import Message, duration, typed

CONNECTION_LIFE = timedelta(minutes=10)
"""A caller opens a new connection after this long, so that a rotated or withdrawn certificate counts."""

CALLEE_PATIENCE = timedelta(seconds=30)
"""How much longer a callee keeps a connection than its callers do, so that it never closes one that a
caller is about to use: that request would be lost."""

REQUEST_HEADERS = timedelta(seconds=10)
"""For a request head to arrive whole. Envoy's default is no limit at all."""

MAX_HEADERS = 256
"""In a request or response; over it 431, or 502. Envoy's default is 100."""


def route_timeouts(route: Route, idle: timedelta) -> Message:
    """Fields of a RouteAction. Envoy's clock starts with the last byte of the request and covers all tries.

    The idle timer never fires before a timeout that is longer than it.
    """
    limit = _limit(route)
    return {"timeout": duration(limit), "idle_timeout": duration(max(idle, limit))}


def _limit(route: Route) -> timedelta:
    """Where there is one try, its own timeout is a timeout; Envoy's timer for tries ends with the head."""
    limits = [route.timeout.duration]
    if not route.retries.attempts:
        limits.append(route.retries.per_try_timeout.duration)
    return min(filter(None, limits), default=timedelta(0))


def longest_tries(routes: Iterable[Route]) -> Mapping[str, timedelta]:
    """How long one try may take at most, by cluster; none where a route's tries have no time of their own."""
    longest: dict[str, timedelta] = {}
    for route in routes:
        its = route.retries.per_try_timeout.duration if route.retries.attempts else timedelta(0)
        for name in {backend.cluster for backend in route.backends}:
            longest[name] = (
                max(longest.get(name, its), its) if its and longest.get(name, its) else timedelta(0)
            )
    return {name: each for name, each in longest.items() if each}


UPLOAD = "upload"
"""A filter, and where routes with a time limit for uploads keep their number."""

_UPLOADED = "meshctl.upload"

_WATCH = f"""function envoy_on_request(request)
  local number = request:metadata():get("number")
  if not number then return end
  for _ in request:bodyChunks() do end
  request:streamInfo():dynamicMetadata():set("{_UPLOADED}", "number", number)
  request:clearRouteCache()
  request:metadata():get("number")
end
"""


def upload_filters(listener: OutboundListener) -> list[Message]:
    """Envoy's idle timer runs on while the answer is awaited, and has no other end than another route.

    So this reads an upload as it passes (nothing is held up), and has the route chosen again behind it. To
    ask for the metadata is what chooses it. There must be a route then: Envoy crashes where it has lost it.
    """
    if not any(route.body_timeout.duration for host in listener.virtual_hosts for route in host.routes):
        return []
    lua = typed("filters.http.lua.v3.Lua", default_source_code={"inline_string": _WATCH})
    return [{"name": UPLOAD, "typed_config": lua}]


def uploading(number: int, route: Route) -> tuple[Message, Message]:
    """Fields of a Route, and of its RouteAction, for as long as a request comes in."""
    numbered = {"metadata": {"filter_metadata": {UPLOAD: {"number": str(number)}}}}
    return numbered, {"idle_timeout": duration(route.body_timeout.duration)}


def uploaded(number: int) -> tuple[Message, Message]:
    """The match, and fields of the RouteAction, from then on: only an idle timeout of zero stops the timer."""
    matcher = {
        "filter": _UPLOADED,
        "path": [{"key": "number"}],
        "value": {"string_match": {"exact": str(number)}},
    }
    return {"prefix": "/", "dynamic_metadata": [matcher]}, {"idle_timeout": "0s"}


def idle_answer(route: Route, idle: timedelta) -> Message:
    """Fields of a RetryPolicy that bound the silence of a callee where the stream's own timer is stopped."""
    if _limit(route) or not route.body_timeout.duration:
        return {}
    return {"per_try_idle_timeout": duration(idle)}


def upstream_connection(idle: timedelta) -> Message:
    """HttpProtocolOptions of a cluster."""
    return {
        "idle_timeout": duration(idle),
        "max_connection_duration": duration(CONNECTION_LIFE),
        "max_headers_count": MAX_HEADERS,
        "max_requests_per_connection": 0,
    }


def downstream_connection(idle: timedelta) -> Message:
    """HttpProtocolOptions of a listener."""
    return {
        "idle_timeout": duration(idle + CALLEE_PATIENCE),
        "max_connection_duration": duration(CONNECTION_LIFE + CALLEE_PATIENCE),
        "max_headers_count": MAX_HEADERS,
        "max_requests_per_connection": 0,
        "headers_with_underscores_action": "ALLOW",
    }
