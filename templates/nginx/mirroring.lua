-- Copies of requests. A copy is sent by a timer, apart from the request and its connection, to a server of our own
-- that proxies it like any request; so nothing of the request waits for it. nginx.conf fills the table.

local max, random = math.max, math.random

local mirroring = {routes = {}}

local MIRRORS = "unix:../run/mirrors.sock"
local PIECE = 65536 -- bytes

-- What ends at this hop, or is said anew.
local LEFT_OUT = {
    ["host"] = true, ["connection"] = true, ["proxy-connection"] = true, ["keep-alive"] = true,
    ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true, ["upgrade"] = true,
    ["http2-settings"] = true,
}

-- Our own lines come first, for NGINX takes the first of a name, and the application may have written it too.
local function head(var, destination, length)
    local lines = {
        var.request_method .. " " .. (var.target or var.request_uri) .. " HTTP/1.1",
        "Host: " .. (var.forwarded_host or var.http_host),
        "Connection: close",
        "x-mesh-mirror: " .. destination .. " " .. mesh.build,
        "x-mesh-source: " .. var.remote_addr,
    }
    for name, values in pairs(ngx.req.get_headers(0, true)) do
        if not LEFT_OUT[string.lower(name)] then
            for _, value in ipairs(type(values) == "table" and values or {values}) do
                lines[#lines + 1] = name .. ": " .. (value == true and "" or value)
            end
        end
    end
    if length > 0 or mesh.has_body(var) or var.http_content_length then
        lines[#lines + 1] = "Content-Length: " .. length
    end
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function send_body(socket, body)
    if not body.file then
        return body.text == "" or socket:send(body.text)
    end
    repeat
        local piece = body.file:read(PIECE)
    until not piece or not socket:send(piece)
end

local function send(premature, copy)
    local socket, deadline = ngx.socket.tcp(), copy.deadline
    local function bound()
        socket:settimeout(max(deadline - ngx.now(), 0.001) * 1000)
    end
    if not premature then
        bound()
        if socket:connect(MIRRORS) and socket:send(copy.head) then
            send_body(socket, copy.body)
            repeat
                bound()
            until not socket:receiveany(PIECE) or ngx.now() >= deadline
        end
        socket:close()
    end
    if copy.body.file then
        copy.body.file:close()
    end
end

-- Once a request, before its first try. What becomes a WebSocket is no request that could be copied.
function mirroring.mirror()
    local var = ngx.var
    local route = mirroring.routes[var.route]
    if not route or var.tries ~= "0" or var.upgrade ~= "" then
        return
    end
    ngx.req.read_body()
    local file, text = ngx.req.get_body_file(), ngx.req.get_body_data() or ""
    for _, mirror in ipairs(route) do
        if random(mirror.of) <= mirror.share then
            -- Open before the request ends, for its file goes with it.
            local body = {file = file and io.open(file, "rb"), text = text}
            local length = body.file and body.file:seek("end") or #text
            if body.file then
                body.file:seek("set")
            end
            ngx.timer.at(0, send, {
                head = head(var, mirror.destination, length),
                body = body,
                deadline = ngx.now() + mesh.destinations[mirror.destination].timeout,
            })
        end
    end
end

-- Where a copy leads; one of a worker of before a reload, whose numbers are others, nowhere.
function mirroring.location()
    local number, build = string.match(ngx.var.http_x_mesh_mirror, "^(%S+) (%S+)$")
    return build == mesh.build and "@to_" .. number or "@gone"
end

return mirroring
