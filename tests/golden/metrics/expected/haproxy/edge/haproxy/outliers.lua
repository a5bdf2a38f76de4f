-- Ejects endpoints that fail in a row: their servers are drained for a while, in every section that leads to them.
local clusters = {}
local failing = 0 -- endpoints whose last answer was a failure; as long as there is none nobody asks here

local function known(sections)
    local cluster = clusters[sections]
    if cluster == nil then
        cluster = { servers = {}, errors = {}, out = {}, ejected = 0 }
        for section in sections:gmatch("%S+") do
            for name, server in pairs(core.proxies[section].servers) do
                cluster.servers[name] = cluster.servers[name] or {}
                table.insert(cluster.servers[name], server)
            end
        end
        clusters[sections] = cluster
    end
    return cluster
end

-- How many may be out at once, of those that are endpoints and have an address: the only one never is.
local function limit(cluster, numerator, denominator)
    local count = 0
    for name, servers in pairs(cluster.servers) do
        local status = servers[1]:get_stats()["status"] or ""
        if name:match("^e%d+$") and not status:find("resolution", 1, true) then
            count = count + 1
        end
    end
    return count > 1 and math.max(1, count * numerator // denominator) or 0
end

local function count(txn, cluster, name, errors)
    local change = (errors and 1 or 0) - (cluster.errors[name] and 1 or 0)
    cluster.errors[name] = errors
    failing = failing + change
    txn:set_var("proc.failing", failing > 0)
end

local function eject(cluster, name, milliseconds)
    cluster.out[name] = true
    cluster.ejected = cluster.ejected + 1
    for _, server in ipairs(cluster.servers[name]) do
        server:set_drain()
    end
    core.register_task(function()
        core.msleep(milliseconds)
        for _, server in ipairs(cluster.servers[name]) do
            server:set_ready()
        end
        cluster.out[name] = nil
        cluster.ejected = cluster.ejected - 1
    end)
end

core.register_fetches("outlier", function(txn, sections, errors, milliseconds, numerator, denominator)
    local cluster, endpoint = known(sections), txn:get_var("txn.endpoint")
    local name = endpoint and "e" .. endpoint or txn.f:srv_name()
    if cluster.servers[name] == nil or cluster.out[name] then
        return ""
    end
    if not txn:get_var("txn.failed") then
        count(txn, cluster, name, nil)
        return ""
    end
    count(txn, cluster, name, (cluster.errors[name] or 0) + 1)
    if
        cluster.errors[name] >= tonumber(errors)
        and cluster.ejected < limit(cluster, tonumber(numerator), tonumber(denominator))
    then
        count(txn, cluster, name, nil)
        eject(cluster, name, tonumber(milliseconds))
    end
    return ""
end)
