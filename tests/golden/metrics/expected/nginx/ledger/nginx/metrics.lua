-- Counts requests as they end, in memory that both workers share, and tells the counts. nginx.conf fills `own` (labels
-- of all series), `buckets` (milliseconds), and what is told of the sidecar itself. A series is a key: its kind, then its labels.

local metrics = {own = "", build = "", buckets = {}, ejecting = {}}

local counts = ngx.shared.metrics
local DIRECTIONS = {"inbound", "outbound"}
local BREATH = 200 -- keys after which a worker sees to its requests
local REQUESTS, SUM, BUCKET, ACTIVE = "r", "s", "b", "a"

local function add(kind, labels, number)
    -- Beyond the memory, what was silent longest is forgotten, which Prometheus takes for a restart.
    counts:incr(kind .. labels, number, 0)
end

-- Once a request, whatever it is led to within the server.
function metrics.begin(direction)
    local counted = ngx.var.counted
    if counted == "" then
        add(ACTIVE, direction, 1)
    end
    return direction
end

function metrics.count(direction)
    local var = ngx.var
    if var.counted ~= "" then
        add(ACTIVE, direction, -1)
    end
    local status = tonumber(var.status) or 0
    if status == ngx.HTTP_CLOSE then
        return -- no request of a caller that is known
    end
    local caller, callee, route = metrics.service, var.callee, var.route_name
    if direction == "inbound" then
        caller, callee, route = var.peer, metrics.service, ""
    end
    local labels = string.format('direction="%s",caller="%s",callee="%s",route="%s"', direction, caller or "", callee or "", route or "")
    add(REQUESTS, string.format('%s,status="%d"', labels, status), 1)
    local took = math.floor((tonumber(var.request_time) or 0) * 1000 + 0.5)
    local number = 1
    while metrics.buckets[number] and took > metrics.buckets[number] do
        number = number + 1
    end
    add(SUM, labels, took)
    add(BUCKET .. number .. " ", labels, 1)
end

local function histogram(lines, labels, sum)
    local name, total = "mesh_request_duration_milliseconds", 0
    for number = 1, #metrics.buckets + 1 do
        total = total + (counts:get(BUCKET .. number .. " " .. labels) or 0)
        local bound = metrics.buckets[number] or "+Inf"
        lines[#lines + 1] = string.format('%s_bucket{%s,%s,le="%s"} %d', name, metrics.own, labels, bound, total)
    end
    lines[#lines + 1] = string.format("%s_sum{%s,%s} %d", name, metrics.own, labels, sum)
    lines[#lines + 1] = string.format("%s_count{%s,%s} %d", name, metrics.own, labels, total)
end

-- What peers.lua knows of a cluster whose endpoints it ejects; nothing before the first request to it.
local function ejected(cluster)
    local out = 0
    for endpoint in (ngx.shared.peers:get("endpoints " .. cluster) or ""):gmatch("[^,]+") do
        out = out + (ngx.shared.peers:get("ejected " .. endpoint) and 1 or 0)
    end
    return out
end

-- The sidecar itself, as it is now.
local function own_state()
    local lines = {}
    local function add(format, ...)
        lines[#lines + 1] = string.format(format, metrics.own, ...)
    end
    if metrics.ejecting[1] then
        lines[1] = "# TYPE mesh_endpoints_ejected gauge"
    end
    for _, cluster in ipairs(metrics.ejecting) do
        local callee, subset = cluster:match("^([^.]+)%.?(.*)$")
        add('mesh_endpoints_ejected{%s,callee="%s",subset="%s"} %d', callee, subset, ejected(cluster))
    end
    if metrics.ends then
        lines[#lines + 1] = "# TYPE mesh_certificate_expiry_timestamp_seconds gauge"
        add("mesh_certificate_expiry_timestamp_seconds{%s} %d", metrics.ends)
    end
    lines[#lines + 1] = "# TYPE mesh_build_info gauge"
    add('mesh_build_info{%s,build="%s"} 1', metrics.build)
    return lines
end

function metrics.page()
    local requests = {"# TYPE mesh_requests_total counter"}
    local durations = {"# TYPE mesh_request_duration_milliseconds histogram"}
    for place, key in ipairs(counts:get_keys(0)) do
        if place % BREATH == 0 then
            ngx.sleep(0)
        end
        local kind, labels = key:sub(1, 1), key:sub(2)
        local number = counts:get(key)
        if kind == REQUESTS then
            requests[#requests + 1] = string.format("mesh_requests_total{%s,%s} %d", metrics.own, labels, number)
        elseif kind == SUM then
            histogram(durations, labels, number)
        end
    end
    local active = {"# TYPE mesh_requests_active gauge"}
    for _, direction in ipairs(DIRECTIONS) do
        local number = counts:get(ACTIVE .. direction) or 0
        active[#active + 1] = string.format('mesh_requests_active{%s,direction="%s"} %d', metrics.own, direction, number)
    end
    for _, lines in ipairs({requests, durations, active, own_state()}) do
        ngx.say(table.concat(lines, "\n"))
    end
end

return metrics
