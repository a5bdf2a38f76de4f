-- What NGINX's directives cannot say: a balancer that tries a lone endpoint again, tries that are counted
-- across the hop status, one deadline for all of them, and statuses that change between two sidecars.
-- nginx.conf fills the tables below. $tries, $tried, $deadline and $again live in NGINX's variables, because
-- ngx.ctx does not survive the jump back to a location.

local balancer = require "ngx.balancer"
local process = require "ngx.process"
local get_request = require("resty.core.base").get_request

local find, match, min = string.find, string.match, math.min

local ffi = require "ffi"

local mesh = {clusters = {}, destinations = {}, untrusted_headers = {}}

local HOP_STATUS, CARRIED_STATUS, STATUS_HEADER = 425, 470, "x-mesh-status"
local SWITCHING_PROTOCOLS, WEBSOCKET = 101, "websocket"
local MOST_JUMPS = 8 -- NGINX allows ten; one led to the location, one will lead to the answer
local EARLY = 0.002 -- seconds that a timer of NGINX may be early, which counts whole milliseconds
local NO_PEER = -3 -- NGX_BUSY: end the request, there is nothing to connect to

-- The last of NGINX's lists, such as "0.001, - : 0.002"; one ends in " : " while the next try has no peer yet.
local function last_of(list)
    return match(list or "", "([^ ,:]+)[ ,:]*$")
end
mesh.last_of = last_of

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

-- Answers that must come or end in time where no timer of NGINX counts from the beginning. A sweep, which runs only
-- while there are any, ends the client's connection when one is late.
ffi.cdef [[
    int getsockopt(int fd, int level, int option, void *value, unsigned int *length);
    int setsockopt(int fd, int level, int option, const void *value, unsigned int length);
    long send(int fd, const void *bytes, unsigned long length, int flags);
    int shutdown(int fd, int how);
    int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long);
    int getppid(void);
    int raise(int signal);
]]
local SWEEP = 0.02 -- seconds
local SOL_SOCKET, SO_LINGER, SO_COOKIE, SHUT_RD, MSG_NOSIGNAL = 1, 13, 57, 0, 0x4000
local IS_REQUEST = 0x50545448 -- what a request of NGINX begins with: "HTTP"
local deadlines, watched, sweeping = {}, {}, false

-- The client's socket. NGINX names it nowhere; a request points to its connection, which has it behind three pointers.
local function socket_of_client()
    local request = get_request()
    assert(ffi.cast("unsigned int *", request)[0] == IS_REQUEST)
    return ffi.cast("int *", ffi.cast("char **", request)[1] + 3 * ffi.sizeof("void *"))[0]
end

-- The kernel's own number of a socket, which no other ever has; nil when there is none.
local cookie, length = ffi.new "unsigned long long[1]", ffi.new "unsigned int[1]"

local function cookie_of(fd)
    length[0] = 8
    return ffi.C.getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, length) == 0 and tostring(cookie[0]) or nil
end

local function cut(client)
    if cookie_of(client.fd) ~= client.cookie then
        return
    end
    if client.answer then
        ffi.C.send(client.fd, client.answer, #client.answer, MSG_NOSIGNAL)
    else
        -- NGINX sees the end of the connection and closes it; no linger makes that a reset.
        ffi.C.setsockopt(client.fd, SOL_SOCKET, SO_LINGER, ffi.new("int[2]", 1, 0), 8)
    end
    ffi.C.shutdown(client.fd, SHUT_RD)
end

-- It sleeps instead of coming back by a timer, which a worker that ends does not give it.
local function sweep()
    repeat
        ngx.sleep(SWEEP)
        local now, waiting = ngx.now(), false
        for _, client in pairs(watched) do
            if not client.late and now >= client.deadline then
                client.late = true
                cut(client)
            end
            waiting = waiting or not client.late
        end
    until not waiting
    sweeping = false
end

-- `answer`: the bytes of one, to be given first.
function deadlines.watch(key, deadline, answer)
    local fd = socket_of_client()
    watched[key] = {deadline = deadline, fd = fd, cookie = cookie_of(fd), answer = answer}
    sweeping = sweeping or ngx.timer.at(0, sweep)
end

-- Whether it was cut.
function deadlines.forget(key)
    local client = watched[key]
    watched[key] = nil
    return client and client.late
end

-- A worker whose master was killed would go on serving, and hold the ports against the next start.
function mesh.start_worker()
    local PR_SET_PDEATHSIG, SIGTERM = 1, 15
    ffi.C.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
    if ffi.C.getppid() ~= process.get_master_pid() then
        ffi.C.raise(SIGTERM) -- it was killed before we asked
    end
    math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
end

local TOO_LATE = "HTTP/1.1 504 Gateway Time-out\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n"
    .. "Connection: close\r\n\r\nno answer\n"

-- Whether the request asks for a WebSocket. NGINX has one timer for the answer and for all that comes after it, so
-- that is the location's idle timeout, and the sweep has an eye on the answer.
function mesh.is_handshake(var, deadline)
    if var.upgrade ~= WEBSOCKET then
        return false
    end
    deadlines.watch(var.connection, deadline, var.https ~= "on" and TOO_LATE or nil)
    return true
end

-- Whether a request brings a body. HTTP/2 need not say so before it comes.
function mesh.has_body(var)
    local length = var.http_content_length
    if length then
        return length ~= "0"
    end
    local method = var.request_method
    return var.http_transfer_encoding ~= nil
        or (ngx.req.http_version() == 2 and method ~= "GET" and method ~= "HEAD")
end

-- The port that a request names, in its target where that is in absolute form; nil if there is none.
function mesh.port_of_host(var)
    local authority = match(var.request, "^%S+ %a+://([^/?]*)") or var.http_host
    return tonumber(match(authority, ":(%d+)$"))
end

-- An endpoint that this request has not tried yet, if there is one. `again`: there may be another try.
function mesh.next_endpoint(cluster, var, again)
    local endpoints, tried = cluster.endpoints, var.tried
    if cluster.dns then
        endpoints = names.endpoints(var)
    end
    local index = cluster.pick(endpoints, tried ~= "," and tried)
    if not index then
        tried, index = ",", cluster.pick(endpoints)
    end
    if index and again then
        var.tried = tried .. index .. ","
    end
    return endpoints[index]
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
    if now >= deadline - EARLY then
        return 504
    end
    local failure = balancer.get_last_failure() and last_failure(var)
    if failure == "broken" then
        return 502 -- the application may have seen it, and NGINX would send it again where the method allows
    end
    return failure == "connect" and not destination.retries_connect_failure and 503
end

function mesh.balance(cluster_name)
    local var, now = ngx.var, ngx.now()
    local destination, cluster = mesh.destinations[var.destination], mesh.clusters[cluster_name]
    local tries, deadline = tonumber(var.tries), nil
    if tries == 0 then
        deadline = (ngx.ctx.since or now) + destination.timeout
        var.deadline = deadline
    else
        deadline = tonumber(var.deadline)
        local status = refusal(destination, var, now, deadline)
        if status then
            return give_up(status)
        end
    end

    tries = tries + 1
    var.tries = tries
    local again = tries <= destination.attempts
    if again then
        balancer.set_more_tries(1)
    end
    if not again or tries > MOST_JUMPS or (destination.streaming and mesh.has_body(var)) then
        var.again = "@unavailable"
    end
    local endpoint, left = mesh.next_endpoint(cluster, var, again), deadline - now
    if not endpoint then
        return give_up(503)
    end
    var.upstream = endpoint.name
    if destination.streaming then
        left = destination.timeout -- a bound of silence, not of the whole
    end
    if not mesh.is_handshake(var, deadline) then
        balancer.set_timeouts(min(destination.connect_timeout, left), left, left)
    end
    assert(balancer.set_current_peer(endpoint.address, endpoint.port))
end

-- Answers that NGINX makes by itself.
function mesh.own_answer()
    deadlines.forget(ngx.var.connection)
    ngx.header["Server"] = nil
    reload.head()
end

-- Headers that the Connection header names are for this hop only (RFC 9110, 7.6.1).
-- Upgrade goes no further anyhow, unless a WebSocket is asked for.
local KEPT = {["host"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["upgrade"] = true}

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

-- NGINX adds its own name to an answer that has none; emptied, it does not. An answer that changes the protocol to
-- what nobody asked for ends here: NGINX would hand bytes on that no rule has seen.
local function without_own_name(header)
    local var = ngx.var
    local wanted = var.upgrade == WEBSOCKET
    if wanted then
        deadlines.forget(var.connection)
    end
    if ngx.status == SWITCHING_PROTOCOLS then
        if not wanted or string.lower(var.upstream_http_upgrade or "") ~= WEBSOCKET then
            return ngx.exit(ngx.ERROR)
        end
        header["Upgrade"] = WEBSOCKET
    end
    if not header["Server"] then
        header["Server"] = nil
    end
    reload.head()
end
mesh.without_own_name = without_own_name

-- What somebody answers who is no part of the mesh's path of a request.
function mesh.plain_answer()
    if ngx.status == SWITCHING_PROTOCOLS then
        return ngx.exit(ngx.ERROR)
    end
    without_own_name(ngx.header)
end

-- Where requests are handed on in pieces, an answer may come before the last one. Then NGINX throws the rest away
-- and closes: the other side has to know, or it would send its next request into that.
function mesh.announce_close()
    local var, unread = ngx.var, nil
    if var.http_transfer_encoding then
        unread = var.content_length == nil
    elseif var.http_content_length then
        unread = var.request_length - var.head_length < tonumber(var.http_content_length)
    end
    if unread and ngx.req.http_version() < 2 then
        ngx.header["Connection"] = "close"
    end
end

-- Nobody answered.
function mesh.unheard_answer()
    mesh.own_answer()
    mesh.announce_close()
end

-- The hop status has no body where an application speaks HTTP/2: callers make a status of gRPC of it.
function mesh.bare_hop_status()
    if ngx.status == HOP_STATUS then
        ngx.header["Content-Length"] = 0
        ngx.header["Content-Type"] = ""
        ngx.ctx.body = ""
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
    mesh.announce_close()
end

-- Whether NGINX says 502 or 504 by itself, because nobody answered.
function mesh.is_own(status, var)
    return (status == 502 or status == 504) and last_of(var.upstream_header_time) == "-"
end

function mesh.application_body()
    reload.body()
    if ngx.req.http_version() == NO_HTTP then
        ngx.arg[1], ngx.arg[2] = ngx.ctx.body, true
        ngx.ctx.body = nil
    end
end

local FLAGS = {[502] = "R", [503] = "C", [504] = "T"}

-- Whether the time for the whole request has run out, in which a connection may still have been under way.
local function is_over(var)
    local deadline = tonumber(var.deadline)
    return deadline and ngx.now() >= deadline - EARLY and not mesh.destinations[var.destination].streaming
end

-- What nobody answered, said in the mesh's words.
local function own_verdict(header, status, context)
    local verdict = context.verdict
    if not verdict and mesh.is_own(status, ngx.var) then
        verdict = last_of(ngx.var.upstream_connect_time) == "-" and not is_over(ngx.var) and 503 or status
    end
    if verdict then
        ngx.status = verdict
        ngx.var.flags = FLAGS[verdict]
        context.own = true
        context.body = "no answer\n"
        header["Content-Length"] = #context.body
        header["Content-Type"] = "text/plain"
    end
end

-- A callee's answer on its way to the application. NGINX has hidden the status header already.
function mesh.hop_answer()
    local header, status = ngx.header, ngx.status
    if status == CARRIED_STATUS then
        if ngx.var.upstream_http_x_mesh_status == tostring(HOP_STATUS) then
            ngx.status = HOP_STATUS
        end
    elseif status == 502 or status == 504 then
        own_verdict(header, status, ngx.ctx)
    end
    without_own_name(header)
end

-- An external's answer: no status of it means anything to the mesh.
function mesh.origin_answer()
    local status = ngx.status
    if status == 502 or status == 504 then
        own_verdict(ngx.header, status, ngx.ctx)
    end
    without_own_name(ngx.header)
end

function mesh.hop_body()
    reload.body()
    local context = ngx.ctx
    local body = context.body
    if body then
        ngx.arg[1], ngx.arg[2] = body, true
        context.body = ""
    elseif context.deadline and ngx.now() >= context.deadline then
        ngx.var.flags = "T"
        return ngx.ERROR
    end
end

-- Where the response has a deadline, or the try that brought it.
function mesh.bound()
    local var = ngx.var
    local deadline, end_of_try = tonumber(var.deadline), tonumber(var.try_ends)
    if not deadline or ngx.status == SWITCHING_PROTOCOLS then
        return -- nobody was asked, or only idleness ends this
    elseif not mesh.destinations[var.destination].bounded then
        deadline = end_of_try
    elseif end_of_try then
        deadline = min(deadline, end_of_try)
    end
    if ngx.req.http_version() == 2 then
        -- The connection has other requests, so only this one ends, when its next piece comes.
        ngx.ctx.deadline = deadline
    else
        deadlines.watch(ngx.ctx, deadline)
    end
end

function mesh.bounded_end()
    if deadlines.forget(ngx.ctx) then
        ngx.var.flags = "T"
    end
end

return mesh
