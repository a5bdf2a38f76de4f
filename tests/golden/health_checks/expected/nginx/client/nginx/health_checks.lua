-- Endpoints that are asked how they are, by one worker. Each question goes through a server of our own, which
-- proxies it to one endpoint in the way that requests go: NGINX does the mutual TLS, and speaks gRPC.

local balancer = require "ngx.balancer"

local find, match, max, min = string.find, string.match, math.max, math.min

local health_checks = {checks = {}}

local CHECKS = "unix:../run/checks.sock"
local SERVING = "\0\0\0\0\2\8\1" -- the message {status: SERVING} of grpc.health.v1, with its length
local NO_MESSAGE = "\0\0\0\0\0"
local PIECE, LONGEST = 4096, 65536 -- bytes
local state = ngx.shared.peers
local streaks = {}

local function head(check, endpoint, deadline)
    local method = check.grpc and "POST" or "GET"
    return table.concat({
        method .. " " .. check.path .. " HTTP/1.1",
        "Host: " .. check.host,
        "Connection: close",
        "x-mesh-check: " .. table.concat({check.number, endpoint.address, endpoint.port, deadline}, " "),
        check.grpc and "Content-Type: application/grpc\r\nTE: trailers\r\nContent-Length: " .. #NO_MESSAGE .. "\r\n" or "",
    }, "\r\n") .. "\r\n" .. (check.grpc and NO_MESSAGE or "")
end

local function is_good(check, answer)
    if check.grpc then
        return match(answer, "^HTTP/1.1 200 ") and find(answer, SERVING, 1, true)
    end
    return match(answer, "^HTTP/1.1 2%d%d ")
end

local function asked(check, endpoint)
    local socket, deadline = ngx.socket.tcp(), ngx.now() + check.timeout
    socket:settimeout(check.timeout * 1000)
    if check.tcp then
        local stands = socket:connect(endpoint.address, endpoint.port)
        socket:close()
        return stands
    end
    local answer = ""
    if socket:connect(CHECKS) and socket:send(head(check, endpoint, deadline)) then
        repeat
            socket:settimeout(max(deadline - ngx.now(), 0.001) * 1000)
            local piece = socket:receiveany(PIECE)
            answer = answer .. (piece or "")
        until not piece or is_good(check, answer) or #answer > LONGEST
    end
    socket:close()
    return is_good(check, answer)
end

local function judge(check, endpoint)
    local trying = check.cluster .. " " .. endpoint.name
    local good, down = asked(check, endpoint) and true or false, state:get("down " .. trying) or false
    if good ~= down then
        streaks[trying] = nil
        return
    end
    streaks[trying] = (streaks[trying] or 0) + 1
    if streaks[trying] >= (good and check.healthy or check.unhealthy) then
        streaks[trying] = nil
        state:set("down " .. trying, not good or nil)
        -- Before the others are known: nobody looks for who is down unless this says so.
        state:set("downs " .. check.cluster, true)
    end
end

local function endpoints_of(cluster)
    if not cluster.dns then
        return cluster.endpoints
    end
    return names.ask({cluster = cluster.name, host = ""}) or {}
end

local function ask_all(premature, check)
    if premature then
        return
    end
    assert(ngx.timer.at(check.interval, ask_all, check))
    local endpoints, threads = endpoints_of(mesh.clusters[check.cluster]), {}
    for index, endpoint in ipairs(endpoints) do
        threads[index] = ngx.thread.spawn(judge, check, endpoint)
    end
    local down = false
    for index, endpoint in ipairs(endpoints) do
        ngx.thread.wait(threads[index])
        down = down or state:get("down " .. check.cluster .. " " .. endpoint.name)
    end
    state:set("downs " .. check.cluster, down or nil)
end

function health_checks.start()
    if ngx.worker.id() == 0 then
        for _, check in ipairs(health_checks.checks) do
            assert(ngx.timer.at(0, ask_all, check))
        end
    end
end

-- Which location of the inner server asks.
function health_checks.location()
    return "@check_" .. match(ngx.var.http_x_mesh_check, "^%d+")
end

function health_checks.balance()
    local number, address, port, deadline = match(ngx.var.http_x_mesh_check, "^(%S+) (%S+) (%S+) (%S+)$")
    local left = max(tonumber(deadline) - ngx.now(), 0.001)
    local check = health_checks.checks[tonumber(number)]
    balancer.set_timeouts(min(check.connect_timeout, left), left, left)
    assert(balancer.set_current_peer(address, tonumber(port)))
end

return health_checks
