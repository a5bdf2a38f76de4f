-- Copies of requests to a listener of our own. The answer is read to its end, for who hangs up gets the copy
-- cancelled, and dropped.
local MOST_UNDER_WAY = 256

local NOT_COPIED = {
    ["content-length"] = true,
    ["transfer-encoding"] = true,
    ["expect"] = true,
    ["connection"] = true,
    ["x-mesh-key"] = true,
    ["x-mesh-next"] = true,
    ["x-mesh-try"] = true,
}

local under_way = 0
local waiting = {}

local function send(socket, seconds, copy)
    local connection = core.tcp()
    connection:settimeout(seconds)
    if connection:connect(socket) then
        connection:send(copy)
        local data, failure = connection:receive(32768)
        while data do
            data, failure = connection:receive(32768)
        end
    end
    connection:close()
end

-- One function for all tasks: HAProxy 2.6 never forgets a function that it was given for one, nor what it holds.
local function send_next()
    local copy = table.remove(waiting, 1)
    pcall(send, copy.socket, copy.seconds, copy.text)
    under_way = under_way - 1
end

local function head(txn, backend)
    local lines = { txn.f:method() .. " " .. txn.f:pathq() .. " HTTP/1.1" }
    for name, values in pairs(txn.http:req_get_headers()) do
        if not NOT_COPIED[name] then
            for index = 0, #values do
                lines[#lines + 1] = name .. ": " .. values[index]
            end
        end
    end
    lines[#lines + 1] = "x-mesh-next: " .. backend
    lines[#lines + 1] = "connection: close"
    return lines
end

core.register_action("mirror", { "http-req" }, function(txn, backend, socket, seconds)
    local headers = txn.http:req_get_headers()
    if headers["upgrade"] or under_way >= MOST_UNDER_WAY then
        return
    end
    local body, lines = txn.f:req_body() or "", head(txn, backend)
    if #body > 0 or headers["content-length"] or headers["transfer-encoding"] then
        lines[#lines + 1] = "content-length: " .. #body
    end
    under_way = under_way + 1
    waiting[#waiting + 1] = {
        socket = socket,
        seconds = tonumber(seconds),
        text = table.concat(lines, "\r\n") .. "\r\n\r\n" .. body,
    }
    core.register_task(send_next)
end, 3)
