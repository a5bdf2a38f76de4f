-- W3C Trace Context: a request belongs to the trace of its one valid `traceparent`, or begins one, and goes on as a span
-- of this sidecar's. nginx.conf fills `share`, of the traces that begin here and are sampled.

local tracing = {share = 0}

local VALID = [[^00-(?!0+-)([0-9a-f]{32})-(?!0+-)([0-9a-f]{16})-[0-9a-f]([0-9a-f])\z]]
local SAMPLED = "[13579bdf]"

-- NGINX's own variable holds the first line of several.
local function received(header)
    local found = header and ngx.re.match(header, VALID, "jo")
    if found and type(ngx.req.get_headers(0).traceparent) == "string" then
        return found[1], found[2], found[3]:find(SAMPLED) ~= nil
    end
end

-- Trace, span and parent, with blanks between them. Once a request, whatever it is led to within the server.
function tracing.begin()
    local var = ngx.var
    if var.trace ~= "" then
        return var.trace
    end
    local random = var.request_id
    local trace, parent, sampled = received(var.http_traceparent)
    if not trace then
        trace, parent, sampled = random, "", math.random() < tracing.share
        ngx.req.clear_header("tracestate")
    end
    local span = random:sub(1, 16)
    ngx.req.set_header("traceparent", "00-" .. trace .. "-" .. span .. (sampled and "-01" or "-00"))
    return trace .. " " .. span .. " " .. parent
end

return tracing
