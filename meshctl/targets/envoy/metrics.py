"""Counting of requests, and the page that tells the counts under the names that all proxies have."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from meshctl.ir import InboundListener, Metrics, OutboundListener, Sidecar
from meshctl.ir.metrics import LABELS
from meshctl.targets.envoy import access_logs, admin, mtls
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


def counting(
    sidecar: Sidecar, listener: InboundListener | OutboundListener, *, plaintext: bool = False
) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` that counts the requests of a listener as they end."""
    if sidecar.metrics is None:
        return []
    own = format_literal(sidecar.service)
    if isinstance(listener, InboundListener):
        told = {
            "direction": "inbound",
            "caller": "unauthenticated" if plaintext else access_logs.caller(listener.authorization),
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
    page = page.replace("BUILD", sidecar.build)
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


_SERIES = (
    r"^mesh\.",
    r"^http\..*\.downstream_rq_active$",
    rf"\.certificate\.{mtls.IDENTITY}\.expiration_unix_time_seconds$",
    r"^cluster\..*\.outlier_detection\.ejections_active$",
)
_QUESTION = f"/stats/prometheus?filter={quote('|'.join(_SERIES), safe='')}&"
"""Envoy's own page with these series alone; with all of them it has thousands of lines for a small mesh."""

# Envoy begins every name with its own, and knows requests under way by the listener.
_TURNED_OVER = r"""function envoy_on_response(handle)
  local body = handle:body()
  if handle:headers():get(":status") ~= "200" or not body then
    return
  end
  local lines, active, ends = {}, {inbound = 0, outbound = 0}, nil
  local ejected = {"# TYPE mesh_endpoints_ejected gauge"}
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
    -- The same certificate at every listener and cluster, but while a new one is being taken.
    local moment = line:match("certificate_expiration_unix_time_seconds{.*} (%d+)$")
    if moment and (not ends or tonumber(moment) < ends) then
      ends = tonumber(moment)
    end
    -- A subset's dashes have become underscores, which no name has.
    local subset, callee, out =
      line:match('^envoy_cluster_(.-)_?outlier_detection_ejections_active{envoy_cluster_name="([^"]+)"} (%d+)$')
    if subset then
      subset = subset:gsub("_", "-")
      ejected[#ejected + 1] =
        'mesh_endpoints_ejected{LABELS,callee="' .. callee .. '",subset="' .. subset .. '"} ' .. out
    end
  end
  lines[#lines + 1] = "# TYPE mesh_requests_active gauge"
  for _, direction in ipairs({"inbound", "outbound"}) do
    lines[#lines + 1] = 'mesh_requests_active{LABELS,direction="' .. direction .. '"} ' .. active[direction]
  end
  for _, line in ipairs(#ejected > 1 and ejected or {}) do
    lines[#lines + 1] = line
  end
  if ends then
    lines[#lines + 1] = "# TYPE mesh_certificate_expiry_timestamp_seconds gauge"
    lines[#lines + 1] = string.format('mesh_certificate_expiry_timestamp_seconds{LABELS} %d', ends)
  end
  lines[#lines + 1] = '# TYPE mesh_build_info gauge\nmesh_build_info{LABELS,build="BUILD"} 1'
  body:setBytes(table.concat(lines, "\n") .. "\n")
end
"""
