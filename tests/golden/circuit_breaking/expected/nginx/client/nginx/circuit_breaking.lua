-- Requests that wait for one of a cluster's connections. One that goes on holds its place until it ends, over all its
-- tries. $queued says what it does, "waiting" or "held", and is empty before. nginx.conf fills the table.

local max, min = math.max, math.min

local circuit_breaking = {clusters = {}}

local PAUSE = 0.005 -- seconds between looks for a free place
local state = ngx.shared.queues

local function refuse(status)
    ngx.ctx.own = true
    ngx.var.flags = status == 504 and "T" or "C"
    return ngx.exit(status)
end

local function take(cluster, most)
    if state:incr("held " .. cluster, 1, 0) <= most then
        return true
    end
    state:incr("held " .. cluster, -1)
    return false
end

-- Before the first try. The time of the request runs while it waits.
function circuit_breaking.wait()
    local var = ngx.var
    local cluster, destination = var.cluster, mesh.destinations[var.destination]
    local bounds = circuit_breaking.clusters[cluster]
    if var.queued ~= "" then
        return
    end
    if not destination.streaming then
        ngx.req.read_body() -- the time begins with the last byte of the request
    end
    local since = ngx.now()
    ngx.ctx.since = since
    if (state:get("waiting " .. cluster) or 0) == 0 and take(cluster, bounds.connections) then
        var.queued = "held"
        return
    end
    if state:incr("waiting " .. cluster, 1, 0) > bounds.pending then
        state:incr("waiting " .. cluster, -1)
        return refuse(503)
    end
    var.queued = "waiting"
    local left = destination.timeout
    while left > 0 do
        ngx.sleep(max(min(PAUSE, left), 0.001)) -- of 0 the clock would stand still
        left = since + destination.timeout - ngx.now()
        if left > PAUSE and take(cluster, bounds.connections) then
            state:incr("waiting " .. cluster, -1)
            var.queued = "held"
            return
        end
    end
    return refuse(504)
end

function circuit_breaking.ended()
    local var = ngx.var
    if var.queued ~= "" then
        state:incr(var.queued .. " " .. var.cluster, -1)
        var.queued = ""
    end
end

return circuit_breaking
