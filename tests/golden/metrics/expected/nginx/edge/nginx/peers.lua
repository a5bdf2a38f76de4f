-- What this sidecar knows of its endpoints, all workers together: requests under way, errors in a row, who is
-- ejected, who is down. $trying is the try under way, as "cluster address:port"; it lives in NGINX's variables,
-- because ngx.ctx does not survive the jump back to a location.

local find, gmatch, match = string.find, string.gmatch, string.match
local floor, max = math.floor, math.max

local peers = {}

local HOP_STATUS, CLIENT_GONE = 425, "499"
local MOMENT = 0.05 -- seconds that counting who is out never takes
local state = ngx.shared.peers
local policies = {}

-- Endpoints that may be asked: the healthy ones of the first level that has any, without those in `tried`.
local function usable(policy, endpoints, tried)
    local ejections = policy.ejection and state:get("ejections " .. policy.cluster)
    local downs = policy.checked and state:get("downs " .. policy.cluster)
    local level, found
    for index, endpoint in ipairs(endpoints) do
        local trying, priority = policy.cluster .. " " .. endpoint.name, endpoint.priority or 0
        local out = (ejections and state:get("ejected " .. trying)) or (downs and state:get("down " .. trying))
        if not out and (not level or priority <= level) then
            if priority ~= level then
                level, found = priority, {}
            end
            if not tried or not find(tried, "," .. index .. ",", 1, true) then
                found[#found + 1] = index
            end
        end
    end
    return found or {}
end

-- Another worker may have to know how many there are, and has never chosen one.
local function tell_names(cluster, endpoints)
    local found = {}
    for index, endpoint in ipairs(endpoints) do
        found[index] = cluster .. " " .. endpoint.name
    end
    state:set("endpoints " .. cluster, table.concat(found, ","))
end

-- `policy`: balance, and where asked for counted, ejection (errors, seconds, share) and checked.
function peers.watch(cluster, policy)
    policy.cluster = cluster
    policies[cluster] = policy
    local function active(endpoint)
        return state:get("active " .. cluster .. " " .. endpoint.name) or 0
    end
    mesh.clusters[cluster].pick = function(endpoints, tried)
        if policy.endpoints ~= endpoints then
            policy.endpoints = endpoints
            tell_names(cluster, endpoints)
        end
        local found = usable(policy, endpoints, tried)
        return found[1] and policy.balance(endpoints, found, active)
    end
end

local function policy_of(trying)
    return policies[match(trying, "^%S+")]
end

local function eject(policy, trying)
    local cluster, ejection = policy.cluster, policy.ejection
    -- Another worker may be at it; then the next error will do.
    if not state:add("ejecting " .. cluster, true, MOMENT) then
        return
    end
    local all, out = 0, 0
    for each in gmatch(state:get("endpoints " .. cluster) or "", "[^,]+") do
        all = all + 1
        out = out + (state:get("ejected " .. each) and 1 or 0)
    end
    if all > 1 and out < max(1, floor(all * ejection.share / ejection.of)) then
        state:set("ejected " .. trying, true, ejection.seconds)
        state:set("ejections " .. cluster, true, ejection.seconds)
        state:delete("errors " .. trying)
    end
    state:delete("ejecting " .. cluster)
end

local function judge(trying, failed)
    local policy = policy_of(trying)
    local errors = "errors " .. trying
    if not policy.ejection then
        return
    elseif not failed then
        if state:get(errors) then
            state:delete(errors)
        end
    elseif not state:get("ejected " .. trying) and state:incr(errors, 1, 0) >= policy.ejection.errors then
        eject(policy, trying)
    end
end

local function begin(var, cluster, endpoint)
    local trying = cluster .. " " .. endpoint
    var.trying = trying
    if policies[cluster].counted then
        state:incr("active " .. trying, 1, 0)
    end
end

local function finish(var)
    local trying = var.trying
    var.trying = ""
    if policy_of(trying).counted then
        state:incr("active " .. trying, -1)
    end
end

-- In place of mesh.balance. Whatever leads to another try was a failure of the one before.
function peers.balance(cluster)
    local var = ngx.var
    if var.trying ~= "" then
        judge(var.trying, true)
        finish(var)
    end
    mesh.balance(cluster)
    begin(var, cluster, var.upstream)
end

-- In place of tries.balance, where each try is a request of its own.
function peers.balance_try(cluster)
    tries.balance()
    local address, port = match(ngx.var.http_x_mesh_try, "^%S+ (%S+) (%S+)")
    begin(ngx.var, cluster, address .. ":" .. port)
end

-- At the head of an answer, before anything is done to its status.
function peers.answered(status_of_mesh)
    local var, status = ngx.var, ngx.status
    if var.trying ~= "" then
        ngx.ctx.judged = true
        judge(var.trying, status >= 500 or (status_of_mesh and status == HOP_STATUS))
    end
end

-- At the end of a request. The hop status of a last try has led away before anybody saw its head.
function peers.ended()
    local var = ngx.var
    if var.trying ~= "" then
        if not ngx.ctx.judged and var.status ~= CLIENT_GONE then
            judge(var.trying, true)
        end
        finish(var)
    end
end

return peers
