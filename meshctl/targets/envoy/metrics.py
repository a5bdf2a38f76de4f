"""Counting of requests, and the page that tells the counts under the names that all proxies have."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import InboundListener, Metrics, OutboundListener, Sidecar
from meshctl.ir.metrics import LABELS
from meshctl.targets.envoy import access_logs, admin
from meshctl.targets.envoy.protobuf import Message, format_literal, typed

_NAMESPACE = "meshctl"
_MILLISECOND = timedelta(milliseconds=1)
_PAGE = "metrics-page"
_NOTHING = "-"
"""As Envoy writes a value that is missing; the page says nothing instead."""

_MOST_COUNTERS = 20_000
_MOST_HISTOGRAMS = 5_000

_PAGE_BYTES = 1 << 26
"""What a page may hold: it is turned over as a whole."""


def counting(sidecar: Sidecar, listener: InboundListener | OutboundListener) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` that counts the requests of a listener as they end."""
    if sidecar.metrics is None:
        return []
    own = format_literal(sidecar.service)
    if isinstance(listener, InboundListener):
        told = {
            "direction": "inbound",
            "caller": access_logs.caller(listener.authorization),
            "callee": own,
            "route": _NOTHING,
        }
    else:
        told = {
            "direction": "outbound",
            "caller": own,
            "callee": f"%METADATA(VIRTUAL_HOST:{_NAMESPACE}:callee)%",
            "route": "%ROUTE_NAME%",
        }
    values = {"mesh": format_literal(sidecar.mesh), "service": own} | told
    tags = [{"name": name, "value_format": values[name]} for name in LABELS]
    status = {"name": "status", "value_format": "%RESPONSE_CODE%"}
    config = typed(
        "access_loggers.stats.v3.Config",
        stats_scope={
            "prefix": "mesh",
            "max_counters": _MOST_COUNTERS,
            "max_histograms": _MOST_HISTOGRAMS,
            "enable_eviction": False,
            "sharing_name": "",
        },
        counters=[{"stat": {"name": "requests_total", "tags": [*tags, status]}, "value_fixed": 1}],
        histograms=[
            {
                "stat": {"name": "request_duration_milliseconds", "tags": tags},
                "unit": "Milliseconds",
                "value_format": "%DURATION%",
            }
        ],
    )
    return [{"name": "metrics", "typed_config": config}]


def callee(service: str) -> Message:
    """Field of a VirtualHost: whom its routes are for."""
    return {"metadata": {"filter_metadata": {_NAMESPACE: {"callee": service}}}}


def settings(metrics: Metrics | None) -> Message:
    """Fields of a Bootstrap. Histograms have their numbers as of the last flush."""
    if metrics is None:
        return {}
    buckets = [each // _MILLISECOND for each in metrics.buckets]
    return {
        "stats_config": {"histogram_bucket_settings": [{"match": {"prefix": "mesh."}, "buckets": buckets}]},
        "stats_flush_interval": "1s",
    }


def routes(sidecar: Sidecar) -> list[Message]:
    """The route of ``GET /metrics``."""
    if sidecar.metrics is None:
        return []
    names = {"mesh": sidecar.mesh, "service": sidecar.service}
    page = _TURNED_OVER.replace("LABELS", ",".join(f'{name}="{value}"' for name, value in names.items()))
    return [
        {
            "name": "metrics",
            "match": {"path": "/metrics", "headers": [admin.IS_GET]},
            "route": {"cluster": admin.CLUSTER, "timeout": "10s", "prefix_rewrite": _QUESTION},
            "typed_per_filter_config": {
                _PAGE: typed("filters.http.lua.v3.LuaPerRoute", source_code={"inline_string": page})
            },
        }
    ]


def http_filters(sidecar: Sidecar) -> list[Message]:
    """What the route needs to be there."""
    if sidecar.metrics is None:
        return []
    return [{"name": _PAGE, "typed_config": typed("filters.http.lua.v3.Lua")}]


def room(sidecar: Sidecar) -> Message:
    """Field of a Listener that has the route."""
    return {"per_connection_buffer_limit_bytes": _PAGE_BYTES} if sidecar.metrics else {}


_QUESTION = "/stats/prometheus?filter=%5Emesh%5C.%7C%5Ehttp%5C..*%5C.downstream_rq_active%24&"
"""Envoy's own page with these series alone; with all of them it has thousands of lines for a small mesh."""

# Envoy begins every name with its own, and knows requests under way by the listener.
_TURNED_OVER = r"""function envoy_on_response(handle)
  local body = handle:body()
  if handle:headers():get(":status") ~= "200" or not body then
    return
  end
  local lines, active = {}, {inbound = 0, outbound = 0}
  for line in body:getBytes(0, body:length()):gmatch("[^\n]+") do
    local told, found = line:gsub("envoy_mesh_", "mesh_", 1)
    if found == 1 then
      lines[#lines + 1] = told:gsub('route="%-"', 'route=""', 1)
    end
    local listener, number = line:match('^envoy_http_downstream_rq_active{[a-z_]+="([^"]+)"} (%d+)$')
    if listener then
      local direction = listener:find("^local_") and "outbound" or listener
      if active[direction] then
        active[direction] = active[direction] + number
      end
    end
  end
  lines[#lines + 1] = "# TYPE mesh_requests_active gauge"
  for _, direction in ipairs({"inbound", "outbound"}) do
    lines[#lines + 1] = 'mesh_requests_active{LABELS,direction="' .. direction .. '"} ' .. active[direction]
  end
  body:setBytes(table.concat(lines, "\n") .. "\n")
end
"""
