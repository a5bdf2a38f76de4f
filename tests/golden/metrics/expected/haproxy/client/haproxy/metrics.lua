-- Counts the lines of the ring "metrics", which come as requests end, and tells the counts. HAProxy 2.6 hands Lua
-- no arguments; these are the labels of all series, the service, and the upper bounds of the buckets in milliseconds.
local own, service = os.getenv("MESHCTL_LABELS"), os.getenv("MESHCTL_SERVICE")
local build, ejecting = os.getenv("MESHCTL_BUILD"), os.getenv("MESHCTL_EJECTING") or ""
local ends = require("certificate").ends("../tls/cert.pem")
local buckets = {}
for bound in os.getenv("MESHCTL_BUCKETS"):gmatch("%d+") do
    buckets[#buckets + 1] = tonumber(bound)
end

-- By labels: how many requests, and of those with the same labels but the status how long they took.
local requests, durations = {}, {}
local series = 0
local MOST = 20000
local LINE = "%[mesh ([^|%]]*)|([^|%]]*)|([^|%]]*)|([^|%]]*)|(%-?%d+)|(%-?%d+)%]"

local function count(line)
    local direction, peer, host, route, status, took = line:match(LINE)
    if not direction or direction == "inbound" and peer == "" then
        return -- no request of anybody came of it
    end
    status = math.max(tonumber(status), 0)
    took = math.max(tonumber(took), 0)
    local caller, callee = service, host:match("^[^:*]*")
    if direction == "inbound" then
        caller, callee = peer, service
    end
    local labels = string.format('direction="%s",caller="%s",callee="%s",route="%s"', direction, caller, callee, route)
    local with_status = labels .. ',status="' .. status .. '"'
    if not requests[with_status] then
        if series == MOST then
            return
        end
        series = series + 1
    end
    requests[with_status] = (requests[with_status] or 0) + 1
    local spent = durations[labels]
    if not spent then
        spent = { sum = 0, total = 0 }
        durations[labels] = spent
    end
    local number = 1
    while buckets[number] and took > buckets[number] do
        number = number + 1
    end
    spent[number] = (spent[number] or 0) + 1
    spent.sum, spent.total = spent.sum + took, spent.total + 1
end

core.register_service("count", "tcp", function(applet)
    while true do
        local line = applet:getline()
        if not line or line == "" then
            return
        end
        count(line)
    end
end)

local function active()
    local under_way = { inbound = 0, outbound = 0 }
    for name, backend in pairs(core.backends) do
        local direction = name == "application" and "inbound" or name:find("^[^:]+:%d+$") and "outbound"
        if direction then
            under_way[direction] = under_way[direction] + backend:get_stats().scur
        end
    end
    return under_way
end

-- By cluster, which endpoints are out: their servers are drained, in one section or more that leads to them.
local function ejected()
    local out = {}
    for cluster in ejecting:gmatch("%S+") do
        out[cluster] = { count = 0 }
    end
    for name, backend in pairs(next(out) and core.backends or {}) do
        local found = out[name:match("^([^:]+):")]
        for server, its in pairs(found and backend.servers or {}) do
            if not found[server] and server:match("^e%d+$") and its:get_stats()["status"]:find("^DRAIN") then
                found[server], found.count = true, found.count + 1
            end
        end
    end
    return out
end

core.register_service("metrics", "http", function(applet)
    local lines = { "# TYPE mesh_requests_total counter" }
    local function add(format, ...)
        lines[#lines + 1] = string.format(format, own, ...)
    end
    for labels, number in pairs(requests) do
        add("mesh_requests_total{%s,%s} %d", labels, number)
    end
    lines[#lines + 1] = "# TYPE mesh_request_duration_milliseconds histogram"
    for labels, spent in pairs(durations) do
        local total = 0
        for number = 1, #buckets + 1 do
            total = total + (spent[number] or 0)
            add('mesh_request_duration_milliseconds_bucket{%s,%s,le="%s"} %d', labels, buckets[number] or "+Inf", total)
        end
        add("mesh_request_duration_milliseconds_sum{%s,%s} %d", labels, spent.sum)
        add("mesh_request_duration_milliseconds_count{%s,%s} %d", labels, spent.total)
    end
    lines[#lines + 1] = "# TYPE mesh_requests_active gauge"
    for direction, number in pairs(active()) do
        add('mesh_requests_active{%s,direction="%s"} %d', direction, number)
    end
    if ejecting ~= "" then
        lines[#lines + 1] = "# TYPE mesh_endpoints_ejected gauge"
    end
    for cluster, out in pairs(ejected()) do
        local callee, subset = cluster:match("^([^.]+)%.?(.*)$")
        add('mesh_endpoints_ejected{%s,callee="%s",subset="%s"} %d', callee, subset, out.count)
    end
    if ends then
        lines[#lines + 1] = "# TYPE mesh_certificate_expiry_timestamp_seconds gauge"
        add("mesh_certificate_expiry_timestamp_seconds{%s} %d", ends)
    end
    lines[#lines + 1] = "# TYPE mesh_build_info gauge"
    add('mesh_build_info{%s,build="%s"} 1', build)
    local page = table.concat(lines, "\n") .. "\n"
    applet:set_status(200)
    applet:add_header("content-type", "text/plain; version=0.0.4")
    applet:add_header("content-length", #page)
    applet:start_response()
    applet:send(page)
end)
