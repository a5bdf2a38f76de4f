-- Policies beyond taking turns. Each chooses one of `usable`, the numbers of the endpoints that may be asked.
-- A policy is made once for a cluster; what it keeps is the worker's own, but for the requests under way.

local bit = require "bit"

local byte, gmatch, match = string.byte, string.gmatch, string.match
local floor, max, random = math.floor, math.max, math.random

local load_balancing = {}

local POINTS = 160 -- on the ring for one of weight, as ketama has
local MOST_POINTS = 65536

-- Smooth weighted turns, as NGINX's own.
local function take_turns(endpoints, usable)
    local best, total = nil, 0
    for _, index in ipairs(usable) do
        local endpoint = endpoints[index]
        endpoint.current = endpoint.current + endpoint.weight
        total = total + endpoint.weight
        if not best or endpoint.current > endpoints[best].current then
            best = index
        end
    end
    endpoints[best].current = endpoints[best].current - total
    return best
end

function load_balancing.round_robin()
    return take_turns
end

-- The fewest requests under way for its weight; among equals they take turns.
function load_balancing.least_request()
    return function(endpoints, usable, active)
        local least, found = nil, nil
        for _, index in ipairs(usable) do
            local load = active(endpoints[index]) / endpoints[index].weight
            if not least or load < least then
                least, found = load, {index}
            elseif load == least then
                found[#found + 1] = index
            end
        end
        return take_turns(endpoints, found)
    end
end

function load_balancing.random()
    return function(endpoints, usable)
        local total = 0
        for _, index in ipairs(usable) do
            total = total + endpoints[index].weight
        end
        local drawn = random(total)
        for _, index in ipairs(usable) do
            drawn = drawn - endpoints[index].weight
            if drawn <= 0 then
                return index
            end
        end
    end
end

local function hash(text)
    local a, b, c, d = byte(ngx.md5_bin(text), 1, 4)
    return a * 16777216 + b * 65536 + c * 256 + d
end

-- An endpoint's points depend on nothing but itself, so that the others' stay when one comes or goes. Only where
-- there would be too many do all have half as many, or a quarter.
local function new_ring(endpoints)
    local total, unit = 0, POINTS
    for _, endpoint in ipairs(endpoints) do
        total = total + endpoint.weight
    end
    while total * unit > MOST_POINTS do
        unit = unit / 2
    end
    local ring = {}
    for index, endpoint in ipairs(endpoints) do
        for point = 1, max(1, floor(endpoint.weight * unit)) do
            ring[#ring + 1] = {at = hash(endpoint.name .. " " .. point), index = index}
        end
    end
    table.sort(ring, function(one, other)
        return one.at < other.at or (one.at == other.at and one.index < other.index)
    end)
    return ring
end

-- The first usable endpoint at or after a place on the ring.
local function walk(ring, at, usable)
    local may = {}
    for _, index in ipairs(usable) do
        may[index] = true
    end
    local low, high = 1, #ring + 1
    while low < high do
        local middle = bit.rshift(low + high, 1)
        if ring[middle].at < at then
            low = middle + 1
        else
            high = middle
        end
    end
    for step = 0, #ring - 1 do
        local point = ring[(low - 1 + step) % #ring + 1]
        if may[point.index] then
            return point.index
        end
    end
end

-- Requests with the same key meet at the same endpoint; what has none takes turns.
function load_balancing.ring_hash(key_of)
    local rings = setmetatable({}, {__mode = "k"})
    return function(endpoints, usable)
        local key = key_of()
        if not key then
            return take_turns(endpoints, usable)
        end
        rings[endpoints] = rings[endpoints] or new_ring(endpoints)
        return walk(rings[endpoints], hash(key), usable)
    end
end

local function lines_of(name)
    local lines = rawget(ngx.req.get_headers(0), name)
    return type(lines) == "table" and lines or {lines}
end

function load_balancing.header(name)
    return function()
        local line = lines_of(name)[1]
        return line and match(match(line, "^[ \t]*(.*)$"), "^.*[^ \t]") or nil
    end
end

-- With case, as applications compare; NGINX's own $cookie_... does without.
function load_balancing.cookie(name)
    return function()
        for _, line in ipairs(lines_of("cookie")) do
            for key, value in gmatch(line, "([^=;]*)=([^;]*)") do
                if match(key, "^[ \t]*(.-)[ \t]*$") == name then
                    return (match(value, "^[ \t]*(.-)[ \t]*$"))
                end
            end
        end
    end
end

function load_balancing.source()
    return function()
        return ngx.var.remote_addr
    end
end

return load_balancing
