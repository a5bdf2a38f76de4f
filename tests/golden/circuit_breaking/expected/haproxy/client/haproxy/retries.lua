-- Who may retry is told here, one request after the other. HAProxy's table counts a retry from its beginning; those
-- that are granted and have not begun are counted here, for a moment: the client may be gone in between.
local MOMENT = 0.2 -- seconds
local granted = {}

local function waiting(key)
    local now, left = core.now(), {}
    for _, since in ipairs(granted[key] or {}) do
        if now.sec - since.sec + (now.usec - since.usec) / 1000000 < MOMENT then
            left[#left + 1] = since
        end
    end
    granted[key] = left
    return left
end

-- ``txn.retrying``: as many would be under way, with this one.
core.register_fetches("retry", function(txn, key, most)
    local others = waiting(key)
    if txn:get_var("txn.retrying") + #others > tonumber(most) then
        return false
    end
    others[#others + 1] = core.now()
    return true
end)

core.register_fetches("retry_begins", function(_, key)
    table.remove(waiting(key), 1)
    return true
end)
