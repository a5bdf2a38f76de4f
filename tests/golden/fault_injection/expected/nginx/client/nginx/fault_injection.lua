-- Failures on purpose, once a request, before anything is sent anywhere. nginx.conf fills the table, by the routes'
-- numbers.

local random = math.random

local fault_injection = {routes = {}}

local function abort(status)
    local var, header = ngx.var, ngx.header
    var.flags = "F"
    ngx.status = status
    header["Content-Length"] = 0
    header["Content-Type"] = ""
    ngx.req.discard_body()
    ngx.send_headers()
    return ngx.exit(status)
end

-- NGINX ends this when the client goes away meanwhile.
function fault_injection.inject()
    local var = ngx.var
    local route = fault_injection.routes[var.route]
    if route then
        if random() < route.delay_share then
            ngx.sleep(route.delay)
        end
        if random() < route.abort_share then
            return abort(route.status)
        end
    end
    return ngx.exec(var.leads_to)
end

return fault_injection
