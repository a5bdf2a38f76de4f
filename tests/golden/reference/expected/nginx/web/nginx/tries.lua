-- Retries that NGINX's own cannot do. The outer side (a destination's location) chooses an endpoint, waits and
-- counts; each try is a request to the inner server, which sees the answer's head before anybody else and says by
-- the hop status that there is to be another try. Then the last answer is handed on as it is.

local balancer = require "ngx.balancer"

local find, match, min, max, random = string.find, string.match, math.min, math.max, math.random

local tries = {policies = {}, clusters = {}}

local HOP_STATUS, CARRIED_STATUS, STATUS_HEADER, FLAGS_HEADER = 425, 470, "x-mesh-status", "x-mesh-flags"
local ALWAYS = 3 -- retries under way that a budget never refuses
local EARLY = 0.002 -- seconds that a timer of NGINX may be early
local budgets = ngx.shared.budgets

-- What bounds the retries of a policy: a share of the requests under way to a callee, a number for a cluster.
local function bounds_of(policy)
    if not policy.bounds then
        local bounds = {}
        bounds[#bounds + 1] = policy.share and {name = policy.callee, share = policy.share} or nil
        bounds[#bounds + 1] = policy.most and {name = policy.cluster .. " ", most = policy.most} or nil
        policy.bounds = bounds
    end
    return policy.bounds
end

-- Requests ("a") and retries ("r") under way. A retry that was granted and never made, because the client had
-- gone, is forgotten with the next request that ends.
local function has_budget(policy)
    local granted = {}
    for _, bound in ipairs(bounds_of(policy)) do
        local most = bound.most or max(ALWAYS, bound.share * (budgets:get("a" .. bound.name) or 0))
        granted[#granted + 1] = bound
        if budgets:incr("r" .. bound.name, 1, 0) > most then
            for _, each in ipairs(granted) do
                budgets:incr("r" .. each.name, -1, 0)
            end
            return false
        end
    end
    return true
end

function tries.ended()
    local var = ngx.var
    local policy, count = tries.policies[var.destination], tonumber(var.tries)
    if not policy or count == 0 then
        return
    end
    for _, bound in ipairs(bounds_of(policy)) do
        local under_way = "r" .. bound.name
        local active = budgets:incr("a" .. bound.name, -1, 0)
        local retries = count > 1 and budgets:incr(under_way, -1, 0) or budgets:get(under_way) or 0
        if retries > active then
            budgets:set(under_way, max(active, 0))
        end
    end
end

local function count_try(policy, count)
    for _, bound in ipairs(bounds_of(policy)) do
        if count == 0 then
            budgets:incr("a" .. bound.name, 1, 0)
        elseif count > 1 then
            budgets:incr("r" .. bound.name, -1, 0)
        end
    end
end

local function pause(policy, count, deadline)
    local longest = min(policy.base * 2 ^ (count - 1), policy.maximum)
    if longest > 0 then
        ngx.sleep(max(min(longest * (0.5 + random() / 2), deadline - ngx.now()), 0))
    end
end

local function give_up(status)
    ngx.ctx.own = true
    ngx.var.flags = status == 504 and "T" or "C"
    return ngx.exit(status)
end

-- The outer side, once for each try.
function tries.begin()
    local var = ngx.var
    local destination, policy = mesh.destinations[var.destination], tries.policies[var.destination]
    local count, deadline = tonumber(var.tries), nil
    if count == 0 then
        if not destination.streaming then
            ngx.req.read_body() -- the time begins with the last byte of the request
        end
        if mesh.clusters[var.cluster].dns and not names.ask(var) then
            return give_up(503)
        end
        deadline = (ngx.ctx.since or ngx.now()) + destination.timeout
        var.deadline = deadline
    else
        deadline = tonumber(var.deadline)
        pause(policy, count, deadline)
        if ngx.now() >= deadline - EARLY then
            return give_up(504)
        end
    end
    count_try(policy, count)
    local endpoint = mesh.next_endpoint(mesh.clusters[var.cluster], var, count < destination.attempts)
    if not endpoint then
        return give_up(503)
    end
    local ends = policy.per_try_timeout > 0 and min(deadline, ngx.now() + policy.per_try_timeout) or deadline
    local again = count < destination.attempts and not (destination.streaming and mesh.has_body(var))
    mesh.is_handshake(var, deadline)
    var.tries = count + 1
    var.upstream = endpoint.name
    var.try_ends = policy.per_try_timeout > 0 and ends or ""
    var.try = table.concat({
        var.destination, endpoint.address, endpoint.port, deadline, ends, again and 1 or 0, mesh.build, var.cluster,
    }, " ")
end

-- The destination, its policy, and what the outer side said of this try. After a reload a worker of before may ask,
-- whose numbers are others: what it asks for leads to the same callee, once.
local OF_BEFORE = {connect_timeout = math.huge}

local function this_try()
    local number, address, port, deadline, ends, again, build, cluster =
        match(ngx.var.http_x_mesh_try, "^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$")
    local same = build == mesh.build
    return {
        destination = same and mesh.destinations[number] or OF_BEFORE,
        policy = same and tries.policies[number] or tries.clusters[cluster],
        address = address,
        port = tonumber(port),
        deadline = tonumber(deadline),
        ends = tonumber(ends),
        again = same and again == "1",
    }
end

-- Which location of the inner server makes the try.
function tries.location()
    local policy = this_try().policy
    return policy and policy.location or "@gone"
end

function tries.balance()
    local this = this_try()
    local left = max(this.ends - ngx.now(), 0.001)
    if this.destination.streaming then
        left = this.destination.timeout
    end
    if ngx.var.upgrade == "" then
        balancer.set_timeouts(min(this.destination.connect_timeout, left), left, left)
    end
    assert(balancer.set_current_peer(this.address, this.port))
end

-- What went wrong, as (answer if it is the last try, condition); nothing when the callee answered.
local function failure(this, status, var)
    local connecting = mesh.last_of(var.upstream_connect_time) == "-"
    if status == HOP_STATUS and this.policy.hop_status then
        return 503, "connect"
    elseif not mesh.is_own(status, var) then
        return nil
    end
    local now = ngx.now()
    if now >= this.deadline - EARLY and not this.destination.streaming then
        return 504, nil
    elseif connecting then
        local late = now >= this.ends - EARLY and not this.destination.streaming
        return late and 504 or 503, "connect"
    elseif now >= this.ends - EARLY then
        return 504, "per_try_timeout"
    end
    return status == 504 and 504 or 502, status == 502 and "reset" or nil
end

local function is_tried_again(this, status, verdict, condition)
    local policy = this.policy
    if status == CARRIED_STATUS and policy.hop_status and ngx.var.upstream_http_x_mesh_status == tostring(HOP_STATUS) then
        status = HOP_STATUS -- the application's own
    end
    if not this.again or ngx.now() >= this.deadline - EARLY then
        return false
    end
    local any_method = policy.any_method or policy.methods[ngx.req.get_method()]
    local wanted
    if not verdict then
        local by_class = policy.conditions.server_error and status >= 500
        wanted = any_method and (by_class or find(policy.statuses, "," .. status .. ",", 1, true))
    elseif condition == "connect" then
        -- Late in the middle of connecting: that is both a failed connection and the end of the try's time.
        wanted = policy.conditions.connect or (verdict == 504 and any_method and policy.conditions.per_try_timeout)
    else
        wanted = any_method and policy.conditions[condition]
    end
    return wanted and has_budget(policy)
end

local FLAGS = {[502] = "R", [503] = "C", [504] = "T"}

local function answer_instead(status, body)
    local header = ngx.header
    ngx.status = status
    header["Content-Length"] = #body
    header["Content-Type"] = body ~= "" and "text/plain" or ""
    ngx.ctx.body = body
end

-- The inner side, at the head of an answer.
function tries.answer()
    local header, var, status = ngx.header, ngx.var, ngx.status
    local this = this_try()
    local verdict, condition = failure(this, status, var)
    header[FLAGS_HEADER] = nil
    if is_tried_again(this, status, verdict, condition or "") then
        answer_instead(HOP_STATUS, "")
    elseif verdict then
        answer_instead(verdict, "no answer\n")
        header[FLAGS_HEADER] = FLAGS[verdict]
    elseif this.policy.hop_status then
        -- NGINX has hidden it; the outer side reads it.
        header[STATUS_HEADER] = status == CARRIED_STATUS and var.upstream_http_x_mesh_status or nil
    elseif status == HOP_STATUS then
        ngx.status = CARRIED_STATUS
        header[STATUS_HEADER] = tostring(HOP_STATUS)
    end
    mesh.without_own_name(header)
    if this.destination.streaming then
        mesh.announce_close()
    end
end

tries.body = function() return mesh.hop_body() end

-- The outer side again, for the answer that no further try follows.
function tries.handed_on()
    local var = ngx.var
    if ngx.ctx.own then
        mesh.own_answer()
        return
    end
    mesh.hop_answer()
    local flags = ngx.header[FLAGS_HEADER]
    if flags then
        ngx.header[FLAGS_HEADER] = nil
        ngx.ctx.own = true
        var.flags = flags
    end
end

return tries
