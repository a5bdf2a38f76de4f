-- A token bucket for each caller, or one for all of them. It is kept as the time at which it will be full again
-- (GCRA), which is one number for all workers. nginx.conf fills `limit`.

local max, min = math.max, math.min

local rate_limiting = {}

local buckets = ngx.shared.buckets
local LOCK, LONGEST_LOCK = "lock", 0.1 -- the name of a caller begins with spiffe://; seconds
local SPINS, PAUSE = 1000, 0.001
local ROUNDING = 1e-6 -- seconds; what the time of day loses as a number

-- Two workers that read the same number would give the same token twice. One that was killed in between holds
-- nobody up for long.
local function lock()
    local spins = 0
    while not buckets:add(LOCK, true, LONGEST_LOCK) do
        spins = spins + 1
        if spins % SPINS == 0 then
            ngx.sleep(PAUSE)
            ngx.update_time()
        end
    end
end

local function take(bucket, limit)
    local now, size = ngx.now(), limit.burst * limit.interval
    -- A clock that was set back must not leave a bucket empty for longer than it takes to fill it.
    local full = min(max(buckets:get(bucket) or now, now), now + size) + limit.interval
    if full > now + size + ROUNDING then
        return false
    end
    -- The memory is for thousands of callers; beyond, the one that was silent longest is forgotten, and its
    -- bucket full again.
    buckets:set(bucket, full, full - now + LONGEST_LOCK)
    return true
end

-- After authorization, before the application hears of the request.
function rate_limiting.ask()
    local var, limit = ngx.var, rate_limiting.limit
    if var.allowed == "exempt" then
        return
    end
    lock()
    local taken = take(limit.by_caller and var.caller_identity or "everybody", limit)
    buckets:delete(LOCK)
    if not taken then
        var.flags, var.upstream, var.tries = "L", "", 0
        ngx.header["Retry-After"] = limit.retry_after
        return ngx.exit(429)
    end
end

return rate_limiting
