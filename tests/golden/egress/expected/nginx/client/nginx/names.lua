-- Addresses of names outside the mesh. NGINX's own resolver would forget what it knew as soon as DNS fails, and
-- knows no upstream with retries; so the question is asked here, and the balancer takes the answer.

local lrucache = require "resty.lrucache"

local byte, char, sub, match, lower = string.byte, string.char, string.sub, string.match, string.lower

local names = {}

local MOST_NAMES = 4096
local TIMEOUT = 2 -- seconds that one resolver has
local AGAIN = 1 -- seconds until a name that was never found is asked for again
local A, AAAA, IN = 1, 28, 1
local TRUNCATED = 0x02
local known = assert(lrucache.new(MOST_NAMES))
local resolvers, own = {}, {}

function names.start(servers, addresses)
    resolvers, own = servers, addresses
end

local function number(text, at)
    local high, low = byte(text, at, at + 1)
    return high * 256 + low
end

local function word(value)
    return char(math.floor(value / 256), value % 256)
end

-- The question as it stands in a message, or nil for what is no name.
local function question(name, kind)
    local labels = {}
    for label in string.gmatch(name .. ".", "([^.]*)%.") do
        if label == "" or #label > 63 then
            return nil
        end
        labels[#labels + 1] = char(#label) .. label
    end
    return #name <= 253 and table.concat(labels) .. "\0" .. word(kind) .. word(IN) or nil
end

-- Behind a name of a message, compressed or not.
local function behind_name(message, at)
    while true do
        local length = byte(message, at)
        if length >= 192 then
            return at + 2
        elseif length == 0 then
            return at + 1
        end
        at = at + 1 + length
    end
end

local function address_of(kind, data)
    if kind == A and #data == 4 then
        return table.concat({byte(data, 1, 4)}, ".")
    elseif kind == AAAA and #data == 16 then
        local groups = {}
        for at = 1, 15, 2 do
            groups[#groups + 1] = string.format("%x", number(data, at))
        end
        return "[" .. table.concat(groups, ":") .. "]"
    end
end

local function read_answers(message, asked)
    local found, at = {}, 13 + #asked
    for _ = 1, number(message, 7) do
        at = behind_name(message, at)
        local kind, length = number(message, at), number(message, at + 8)
        found[#found + 1] = address_of(kind, sub(message, at + 10, at + 9 + length))
        at = at + 10 + length
    end
    return found
end

local function is_answer(message, id, asked)
    return message and #message >= 12 + #asked and number(message, 1) == id and byte(message, 3) >= 128
        and lower(sub(message, 13, 12 + #asked)) == lower(asked)
end

local function over_tcp(server, query)
    local socket = ngx.socket.tcp()
    socket:settimeout(TIMEOUT * 1000)
    if not socket:connect(server.address, server.port) then
        return nil
    end
    socket:send(word(#query) .. query)
    local length = socket:receive(2)
    local message = length and socket:receive(number(length, 1))
    socket:close()
    return message
end

local function over_udp(server, query, id, asked)
    local socket, ends = ngx.socket.udp(), ngx.now() + TIMEOUT
    if not socket:setpeername(server.address, server.port) then
        return nil
    end
    socket:send(query)
    local message
    repeat
        socket:settimeout(math.max(ends - ngx.now(), 0.001) * 1000)
        message = socket:receive(4096)
    until not message or is_answer(message, id, asked)
    socket:close()
    return message
end

-- The addresses of one kind, or nil when this server has no answer.
local function ask_server(server, name, kind)
    local asked, id = question(name, kind), math.random(0, 65535)
    if not asked then
        return nil
    end
    local query = word(id) .. "\1\0\0\1\0\0\0\0\0\0" .. asked
    local message = over_udp(server, query, id, asked)
    if message and bit.band(byte(message, 3), TRUNCATED) ~= 0 then
        message = over_tcp(server, query)
    end
    if not is_answer(message, id, asked) or byte(message, 4) % 16 ~= 0 then
        return nil
    end
    local understood, found = pcall(read_answers, message, asked)
    return understood and found or nil
end

-- Both kinds at once, so that a name costs one round trip.
local function ask_both(server, name)
    local four = ngx.thread.spawn(ask_server, server, name, A)
    local six = ngx.thread.spawn(ask_server, server, name, AAAA)
    local _, found = ngx.thread.wait(four)
    local _, more = ngx.thread.wait(six)
    if not found and not more then
        return nil
    end
    found = found or {}
    for _, each in ipairs(more or {}) do
        found[#found + 1] = each
    end
    return found
end

local function is_ipv4(name)
    local found = {match(name, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")}
    for _, each in ipairs(found) do
        if #each > 3 or tonumber(each) > 255 then
            return false
        end
    end
    return #found == 4
end

local function addresses(name)
    if is_ipv4(name) or match(name, "^%[[%x:.]+%]$") then
        return {name}
    end
    for _, server in ipairs(resolvers) do
        local found = ask_both(server, name)
        if found and #found > 0 then
            return found
        end
    end
end

local function look_up(name, port)
    local found = {}
    for _, address in ipairs(addresses(name) or {}) do
        local full = address .. ":" .. port
        -- A host that leads back here would never end.
        if not own[full] then
            found[#found + 1] = {address = address, port = port, weight = 1, current = 0, name = full}
        end
    end
    return #found > 0 and found or nil
end

-- The name that this request's cluster stands for is known, or looked up now; nil when it has no address.
function names.ask(var)
    local dns = mesh.clusters[var.cluster].dns
    local name, port = dns.name, dns.port
    if name == "" then
        name = var.host
    end
    if port == 0 then
        port = mesh.port_of_host(var) or 80
    end
    local key, now = name .. " " .. port, ngx.now()
    var.asked_name = key
    local found = known:get(key)
    if found and now < found.expires then
        return found.endpoints
    end
    if found then
        found.expires = now + dns.refresh -- the others take what is known; and it stays while DNS fails
    end
    local endpoints = look_up(name, port)
    if endpoints then
        known:set(key, {endpoints = endpoints, expires = now + dns.refresh})
    elseif not (found and found.endpoints) then
        known:set(key, {expires = now + AGAIN})
    end
    return endpoints or (found and found.endpoints)
end

function names.look_up()
    local var = ngx.var
    if not names.ask(var) then
        ngx.ctx.own = true
        var.flags = "C"
        return ngx.exit(503)
    end
end

-- For the balancer, which may not wait.
function names.endpoints(var)
    local found = known:get(var.asked_name)
    return found and found.endpoints or {}
end

return names
