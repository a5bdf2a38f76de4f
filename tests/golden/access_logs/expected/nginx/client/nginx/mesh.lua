-- What NGINX's directives cannot say: a balancer that tries a lone endpoint again, tries that are counted
-- across the hop status, one deadline for all of them, and statuses that change between two sidecars.
-- nginx.conf fills the tables below. $tries, $tried, $deadline and $again live in NGINX's variables, because
-- ngx.ctx does not survive the jump back to a location.

local balancer = require "ngx.balancer"

local find, match, min = string.find, string.match, math.min

local ffi = require "ffi"

local mesh = {clusters = {}, destinations = {}, header_conditions = {}, untrusted_headers = {}}

local HOP_STATUS, CARRIED_STATUS, STATUS_HEADER = 425, 470, "x-mesh-status"
local MOST_JUMPS = 8 -- NGINX allows ten; one led to the location, one will lead to the answer
local EARLY = 0.002 -- seconds that a timer of NGINX may be early, which counts whole milliseconds
local NO_PEER = -3 -- NGX_BUSY: end the request, there is nothing to connect to

-- The last of NGINX's lists, such as "0.001, - : 0.002"; one ends in " : " while the next try has no peer yet.
local function last_of(list)
    return match(list or "", "([^ ,:]+)[ ,:]*$")
end

-- Smooth weighted round robin, as NGINX's own, among the endpoints that this request has not tried.
function mesh.round_robin(endpoints, tried)
    local best, total = nil, 0
    for index = 1, #endpoints do
        if not tried or not find(tried, "," .. index .. ",", 1, true) then
            local endpoint = endpoints[index]
            endpoint.current = endpoint.current + endpoint.weight
            total = total + endpoint.weight
            if not best or endpoint.current > endpoints[best].current then
                best = index
            end
        end
    end
    if best then
        endpoints[best].current = endpoints[best].current - total
    end
    return best
end

-- Responses that have begun and must end in time. No timer of NGINX counts from the beginning, so a sweep,
-- which runs only while there are any, resets the client's connection when a response is late.
ffi.cdef [[
    int getpeername(int fd, void *address, unsigned int *length);
    int getsockname(int fd, void *address, unsigned int *length);
    int setsockopt(int fd, int level, int option, const void *value, unsigned int length);
    int shutdown(int fd, int how);
    int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long);
]]
local SWEEP = 0.02 -- seconds
local MOST_FILES = 16384 -- worker_rlimit_nofile
local SOL_SOCKET, SO_LINGER, SHUT_RD = 1, 13, 0
local deadlines, watched, sweeping = {}, {}, false

-- Family, port and address as the kernel writes them, which is how NGINX has them too.
local address, length = ffi.new "char[128]", ffi.new "unsigned int[1]"

local function is_at(ask, fd, port, ip)
    length[0] = 128
    if ffi.C[ask](fd, address, length) ~= 0 then
        return false
    end
    local is_port = address[2] % 256 * 256 + address[3] % 256 == port
    return is_port and (not ip or ffi.string(address + (#ip == 4 and 4 or 8), #ip) == ip)
end

local function reset(client)
    for fd = 3, MOST_FILES do
        if is_at("getpeername", fd, client.port, client.ip) and is_at("getsockname", fd, client.server_port) then
            -- NGINX sees the end of the connection and closes it; no linger makes that a reset.
            ffi.C.setsockopt(fd, SOL_SOCKET, SO_LINGER, ffi.new("int[2]", 1, 0), 8)
            ffi.C.shutdown(fd, SHUT_RD)
            return
        end
    end
end

local function sweep()
    local now, waiting = ngx.now(), false
    for _, client in pairs(watched) do
        if not client.late and now >= client.deadline then
            client.late = true
            reset(client)
        end
        waiting = waiting or not client.late
    end
    sweeping = waiting and ngx.timer.at(SWEEP, sweep)
end

function deadlines.watch(context, deadline)
    local var = ngx.var
    watched[context] = {
        deadline = deadline,
        ip = var.binary_remote_addr,
        port = tonumber(var.remote_port),
        server_port = tonumber(var.server_port),
    }
    sweeping = sweeping or ngx.timer.at(SWEEP, sweep)
end

-- Whether it was cut.
function deadlines.forget(context)
    local client = watched[context]
    watched[context] = nil
    return client and client.late
end

-- A worker whose master was killed would go on serving, and hold the ports against the next start.
function mesh.start_worker()
    local PR_SET_PDEATHSIG, SIGTERM = 1, 15
    ffi.C.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
end

local function give_up(status)
    ngx.ctx.verdict = status
    return ngx.exit(NO_PEER)
end

-- Why the try before this one failed: "connect", "answer" (a gateway error) or "broken".
local function last_failure(var)
    if last_of(var.upstream_connect_time) == "-" then
        return "connect"
    end
    return last_of(var.upstream_header_time) == "-" and "broken" or "answer"
end

-- Whether the try after a failed one may be made; if not, what the answer is.
local function refusal(destination, var, now, deadline)
    local failure = balancer.get_last_failure() and last_failure(var)
    if failure == "broken" then
        -- The application may have seen it. NGINX would have sent it again where the method allows.
        return now < deadline - EARLY and 502 or 504
    elseif failure == "connect" and not destination.retries_connect_failure then
        return 503
    end
    return now >= deadline - EARLY and 504
end

function mesh.balance(cluster_name)
    local var, now = ngx.var, ngx.now()
    local destination, cluster = mesh.destinations[var.destination], mesh.clusters[cluster_name]
    local tries, deadline, tried, index = tonumber(var.tries), nil, nil, nil
    if tries == 0 then
        deadline = now + destination.timeout
        var.deadline = deadline
        tried, index = ",", cluster.pick(cluster.endpoints)
    else
        deadline, tried = tonumber(var.deadline), var.tried
        local status = refusal(destination, var, now, deadline)
        if status then
            return give_up(status)
        end
        index = cluster.pick(cluster.endpoints, tried)
        if not index then
            tried, index = ",", cluster.pick(cluster.endpoints)
        end
    end

    tries = tries + 1
    var.tries = tries
    if tries <= destination.attempts then
        var.tried = tried .. index .. ","
        balancer.set_more_tries(1)
    end
    if tries > destination.attempts or tries > MOST_JUMPS then
        var.again = "@unavailable"
    end
    local endpoint, left = cluster.endpoints[index], deadline - now
    var.upstream = endpoint.name
    balancer.set_timeouts(min(destination.connect_timeout, left), left, left)
    assert(balancer.set_current_peer(endpoint.address, endpoint.port))
end

-- A value without the tabs around it, which NGINX leaves where it takes spaces away.
local function without_tabs(line)
    return type(line) == "string" and match(line, "^[ \t]*(.-)[ \t]*$")
end

-- Which of a host's header conditions hold, as "0" and "1" in their order. Any line will do.
function mesh.header_bits(host)
    local headers = ngx.req.get_headers(0)
    local bits = {}
    for index, condition in ipairs(mesh.header_conditions[host]) do
        local lines, bit = rawget(headers, condition.name), "0"
        if type(lines) == "table" then
            for _, line in ipairs(lines) do
                if line == condition.value or without_tabs(line) == condition.value then
                    bit = "1"
                end
            end
        elseif lines == condition.value or without_tabs(lines) == condition.value then
            bit = "1"
        end
        bits[index] = bit
    end
    return table.concat(bits)
end

-- Answers that NGINX makes by itself.
function mesh.own_answer()
    ngx.header["Server"] = nil
end

-- Headers that the Connection header names are for this hop only (RFC 9110, 7.6.1).
local KEPT = {["host"] = true, ["content-length"] = true, ["transfer-encoding"] = true}

function mesh.drop_hop_headers()
    local lines = ngx.req.get_headers(0)["connection"]
    if type(lines) == "table" then
        lines = table.concat(lines, ",")
    end
    for name in string.gmatch(string.lower(lines or ""), "[^%s,]+") do
        if not KEPT[name] then
            ngx.req.clear_header(name)
        end
    end
    return ""
end

-- Headers that only a sidecar may set, in every spelling that an application could take for them. Not by
-- proxy_set_header: with ignore_invalid_headers off NGINX hashes names with a dot wrongly and lets them through.
function mesh.drop_untrusted_headers()
    for name in pairs(ngx.req.get_headers(0)) do
        if mesh.untrusted_headers[(name:gsub("[._]", "-"))] then
            ngx.req.clear_header(name)
        end
    end
    return ""
end

-- NGINX adds its own name to an answer that has none; emptied, it does not.
local function without_own_name(header)
    if not header["Server"] then
        header["Server"] = nil
    end
end

-- What is no HTTP, NGINX takes for HTTP/0.9: it would hand it on without a head, and wait for more of it.
local NO_HTTP = 0.9
local BAD_GATEWAY = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

-- An application's answer on its way to the caller's sidecar.
function mesh.application_answer()
    local header = ngx.header
    if ngx.req.http_version() == NO_HTTP then
        ngx.status = 502
        ngx.var.flags = "R"
        ngx.ctx.body = BAD_GATEWAY
        return
    end
    if ngx.status == HOP_STATUS then
        ngx.status = CARRIED_STATUS
        header[STATUS_HEADER] = tostring(HOP_STATUS)
    end
    without_own_name(header)
end

-- What an answer of NGINX's own, 502 or 504, says of the tries; nil for a callee's answer.
local function verdict_on(status)
    local var = ngx.var
    if last_of(var.upstream_header_time) ~= "-" then
        return nil
    end
    return last_of(var.upstream_connect_time) == "-" and 503 or status
end

function mesh.application_body()
    if ngx.req.http_version() == NO_HTTP then
        ngx.arg[1], ngx.arg[2] = ngx.ctx.body, true
        ngx.ctx.body = nil
    end
end

local FLAGS = {[502] = "R", [503] = "C", [504] = "T"}

-- A callee's answer on its way to the application. NGINX has hidden the status header already.
function mesh.hop_answer()
    local header, status, context = ngx.header, ngx.status, ngx.ctx
    if status == CARRIED_STATUS then
        if ngx.var.upstream_http_x_mesh_status == tostring(HOP_STATUS) then
            ngx.status = HOP_STATUS
        end
    elseif status == 502 or status == 504 then
        local verdict = context.verdict or verdict_on(status)
        if verdict then
            ngx.status = verdict
            ngx.var.flags = FLAGS[verdict]
            context.body = "no answer\n"
            header["Content-Length"] = #context.body
            header["Content-Type"] = "text/plain"
        end
    end
    without_own_name(header)
end

function mesh.hop_body()
    local body = ngx.ctx.body
    if body then
        ngx.arg[1], ngx.arg[2] = body, true
        ngx.ctx.body = ""
    end
end

-- The same where the response has a deadline.
function mesh.bounded_answer()
    mesh.hop_answer()
    deadlines.watch(ngx.ctx, tonumber(ngx.var.deadline))
end

function mesh.bounded_end()
    if deadlines.forget(ngx.ctx) then
        ngx.var.flags = "T"
    end
end

return mesh
