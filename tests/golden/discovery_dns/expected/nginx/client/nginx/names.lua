-- Addresses of names, outside the mesh and in it. NGINX's own resolver would forget what it knew as soon as DNS fails, and
-- knows no upstream with retries; so the question is asked here, and the balancer takes the answer.

local lrucache = require "resty.lrucache"

local byte, char, sub, match, lower = string.byte, string.char, string.sub, string.match, string.lower

local names = {}

local MOST_NAMES = 4096
local TIMEOUT = 2 -- seconds that one resolver has
local AGAIN = 1 -- seconds until a name that was never found is asked for again
local A, AAAA, SRV, IN = 1, 28, 33, 1
local TRUNCATED, NXDOMAIN = 0x02, 3
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

-- The name that stands in a message, compressed or not.
local function name_at(message, at)
    local labels = {}
    for _ = 1, 255 do
        local length = byte(message, at)
        if length >= 192 then
            at = number(message, at) % 16384 + 1
        elseif length == 0 then
            break
        else
            labels[#labels + 1] = sub(message, at + 1, at + length)
            at = at + 1 + length
        end
    end
    return lower(table.concat(labels, "."))
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

local function target_of(message, at)
    local priority, weight, port = number(message, at), number(message, at + 2), number(message, at + 4)
    local target = name_at(message, at + 6)
    -- A target without a name says that the service is decidedly not there (RFC 2782).
    return target ~= "" and {priority = priority, weight = weight, port = port, target = target} or nil
end

local function read_answers(message, asked)
    local found, at = {}, 13 + #asked
    for _ = 1, number(message, 7) do
        at = behind_name(message, at)
        local kind, length = number(message, at), number(message, at + 8)
        if kind == SRV then
            found[#found + 1] = target_of(message, at + 10)
        else
            found[#found + 1] = address_of(kind, sub(message, at + 10, at + 9 + length))
        end
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

-- The records of one kind, maybe none; nil when this server has no answer.
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
    if not is_answer(message, id, asked) then
        return nil
    end
    local code = byte(message, 4) % 16
    if code ~= 0 then
        return code == NXDOMAIN and {} or nil
    end
    local understood, found = pcall(read_answers, message, asked)
    return understood and found or nil
end

-- Both kinds at once, so that a name costs one round trip. That there is nothing, both have to say.
local function ask_both(server, name)
    local four = ngx.thread.spawn(ask_server, server, name, A)
    local six = ngx.thread.spawn(ask_server, server, name, AAAA)
    local _, found = ngx.thread.wait(four)
    local _, more = ngx.thread.wait(six)
    local known_both = found and more
    found = found or {}
    for _, each in ipairs(more or {}) do
        found[#found + 1] = each
    end
    return (known_both or #found > 0) and found or nil
end

-- What the first server finds that finds anything; nothing where one says so; nil where all are silent.
local function ask(question_of, ...)
    local nothing
    for _, server in ipairs(resolvers) do
        local found = question_of(server, ...)
        if found and #found > 0 then
            return found
        end
        nothing = nothing or found
    end
    return nothing
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
    return ask(ask_both, name)
end

local function endpoint(address, port, weight)
    return {address = address, port = port, weight = weight, current = 0, name = address .. ":" .. port}
end

local function look_up(name, port)
    local there = addresses(name)
    local found = there and {}
    for _, address in ipairs(there or {}) do
        -- A host that leads back here would never end.
        if not own[address .. ":" .. port] then
            found[#found + 1] = endpoint(address, port, 1)
        end
    end
    return found
end

-- Of the records with the lowest priority. A weight of 0, which takes hardly anything, is the smallest here.
local function look_up_services(name)
    local records = ask(ask_server, name, SRV)
    if not records then
        return nil
    end
    table.sort(records, function(one, other) return one.priority < other.priority end)
    local found, silent, asking = {}, false, {}
    for index, record in ipairs(records) do
        if record.priority == records[1].priority then
            asking[index] = ngx.thread.spawn(addresses, record.target)
        end
    end
    for index, thread in ipairs(asking) do
        local _, there = ngx.thread.wait(thread)
        silent = silent or not there
        for _, address in ipairs(there or {}) do
            found[#found + 1] = endpoint(address, records[index].port, math.max(records[index].weight, 1))
        end
    end
    return (#found > 0 or not silent) and found or nil
end

-- Whose turn it is does not change with an answer.
local function keep_turns(endpoints, before)
    local turns = {}
    for _, each in ipairs(before or {}) do
        turns[each.name] = each.current
    end
    for _, each in ipairs(endpoints) do
        each.current = turns[each.name] or 0
    end
end

-- What is known stays while DNS is silent; an answer that there is nothing holds.
local function refresh(_, key, dns, name, port)
    local found = known:get(key)
    local before = found and found.endpoints
    local endpoints
    if dns.srv then
        endpoints = look_up_services(name)
    else
        endpoints = look_up(name, port)
    end
    if endpoints then
        keep_turns(endpoints, before)
    else
        endpoints = before or {}
    end
    known:set(key, {endpoints = endpoints, expires = ngx.now() + (#endpoints > 0 and dns.refresh or AGAIN)})
    return endpoints
end

local function any(endpoints)
    return #endpoints > 0 and endpoints or nil
end

-- The name that this request's cluster stands for is known, or looked up now; nil when it has no address. Nobody
-- waits for an answer that takes the place of one that is hardly too old.
function names.ask(var)
    local dns = mesh.clusters[var.cluster].dns
    local name, port = dns.name, dns.port
    if name == "" then
        name = var.host
    end
    if port == 0 and not dns.srv then
        port = mesh.port_of_host(var) or 80
    end
    local key, now = name .. " " .. port, ngx.now()
    var.asked_name = key
    local found = known:get(key)
    if found and now < found.expires then
        return any(found.endpoints)
    end
    if found then
        local good_enough = #found.endpoints > 0 and now < found.expires + dns.refresh
        found.expires = now + dns.refresh -- the others take what is known
        if good_enough and ngx.timer.at(0, refresh, key, dns, name, port) then
            return found.endpoints
        end
    end
    return any(refresh(false, key, dns, name, port))
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
