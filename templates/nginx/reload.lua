-- NGINX ends a worker's kept connections at a reload as soon as they are idle, and a request may be on its way. Here
-- they get one more answer, which ends them, as busy ones do; what stays idle ends with the worker.

local ffi = require "ffi"

local reload = {}

ffi.cdef [[ extern size_t *volatile ngx_cycle; ]]
local FOR_EVER = 1e9 -- seconds
local WORDS = 100 -- of the cycle, among which one says how many connections there may be

-- Where the cycle has that number; nil when that is not plain.
local function place(cycle, connections)
    local found
    for index = 0, WORDS - 1 do
        if cycle[index] == connections then
            if found then
                return nil
            end
            found = index
        end
    end
    return found
end

-- What this worker has first, so that NGINX, which goes through its connections in order and ends timers by one of
-- them, asks here before it comes to a client's.
function reload.start_worker(connections)
    ngx.timer.at(FOR_EVER, function ()
        local cycle = ffi.C.ngx_cycle
        local index = place(cycle, connections)
        if index then
            cycle[index] = 0
            ngx.sleep(0.001)
            cycle[index] = connections
        end
    end)
end

return reload
