-- A token bucket, kept as the moment when it will be full again. All threads share these tables, one at a time.
-- Keys are callers whom the mesh's CA has verified: there are no more of them than services.
local full_at = {}
local epoch = os.time()

core.register_fetches("admitted", function(txn, requests, per, burst, key)
    local now, interval = core.now(), tonumber(per) / tonumber(requests)
    local microseconds = (now.sec - epoch) * 1000000 + now.usec
    local caller = key and txn:get_var(key) or ""
    local start = math.max(full_at[caller] or 0, microseconds)
    -- A tenth of a microsecond, for what a fraction loses.
    if start - microseconds > (tonumber(burst) - 1) * interval + 0.1 then
        return false
    end
    full_at[caller] = start + interval
    return true
end)
