-- At a reload NGINX closes what is kept and idle, and whatever ends its answer just then, and a request may be on its
-- way there. Here each kept connection gets one more answer, which says that it ends; what stays idle ends with the
-- worker. HTTP/2 is told by GOAWAY which requests were not taken.

local ffi = require "ffi"

local reload = {}

ffi.cdef [[
    extern size_t *volatile ngx_cycle;
    extern size_t ngx_exiting;
]]
local FOR_EVER = 1e9 -- seconds
local WORDS = 100 -- of NGINX's cycle, one of which says how many connections there may be
local TOLD = 2 -- seconds in which answers end whose head was sent before anybody could say that they are the last

-- Which word it is; nil when that is not plain.
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

-- The worker's first timer, so NGINX ends it before it comes to a client's connection: it goes through all in order,
-- up to that number.
function reload.start_worker(connections)
    ngx.timer.at(FOR_EVER, function ()
        local cycle = ffi.C.ngx_cycle
        local index = place(cycle, connections)
        if not index then
            return
        end
        cycle[index] = 0
        reload.ends = true
        ffi.C.ngx_exiting = 0
        ngx.sleep(0.001)
        cycle[index] = connections
        ngx.sleep(TOLD)
        reload.ends = false
        ffi.C.ngx_exiting = 1
    end)
end

-- NGINX reads that when it writes a head, and says that the connection ends.
function reload.head()
    if reload.ends then
        ffi.C.ngx_exiting = 1
    end
end

-- And when an answer is over, whatever its head has said.
function reload.body()
    if reload.ends then
        ffi.C.ngx_exiting = 0
    end
end

return reload
