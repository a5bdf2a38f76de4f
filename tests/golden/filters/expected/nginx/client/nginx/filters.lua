-- What a route changes on the way, or answers by itself. nginx.conf fills the table, by the routes' numbers.
-- Targets are taken as they came ($request_uri): what NGINX decodes is never sent anywhere.

local add_request_header = require("ngx.req").add_header
local add_header = require("ngx.resp").add_header

local match, sub = string.match, string.sub

local filters = {routes = {}}

local DEFAULT_PORTS = {http = 80, https = 443}

-- The target with the path that `change` wants; the query stays.
local function changed(change)
    local path, query = match(ngx.var.request_uri, "^([^?]*)(.*)$")
    if change.path then
        path = change.path
    elseif change.prefix then
        path = change.prefix .. sub(path, change.matched + 1)
        if path == "" then
            path = "/"
        end
    end
    return path .. query
end

-- `joined` are headers that NGINX keeps in one line: what is added goes into it.
local function joined(name, value)
    local there = rawget(ngx.req.get_headers(0), name)
    if type(there) == "table" then
        there = table.concat(there, ",")
    end
    return there and there .. "," .. value or value
end

local function change_request_headers(changes)
    for _, each in ipairs(changes) do
        if each.append and not each.joined then
            add_request_header(each.name, each.value)
        else
            local value = each.joined and joined(each.name, each.value) or each.value
            -- Not by set_header alone: of several lines it would leave the others.
            ngx.req.clear_header(each.name)
            if value then
                ngx.req.set_header(each.name, value)
            end
        end
    end
end

-- Once a request, before the first try; the target that the callee sees.
function filters.change_request()
    local var = ngx.var
    local route = filters.routes[var.route]
    if not route then
        return var.request_uri
    end
    if route.request_headers then
        change_request_headers(route.request_headers)
    end
    if route.hostname then
        var.forwarded_host = route.hostname
    end
    return route.rewrite and changed(route.rewrite) or var.request_uri
end

-- Where NGINX takes no target by a variable: the path that it writes anew, from what its escapes stand for.
function filters.set_target()
    local path = match(ngx.var.target, "^[^?]*")
    ngx.req.set_uri(string.gsub(path, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end), false, true)
end

local function change_response_headers(changes)
    for _, each in ipairs(changes or {}) do
        if each.joined and ngx.header[each.name] then
            ngx.header[each.name] = ngx.header[each.name] .. "," .. each.value
        elseif each.append then
            add_header(each.name, each.value)
        else
            ngx.header[each.name] = each.value
        end
    end
end

-- A callee's answer; not one that this sidecar gives in its stead, maybe before it asked anybody.
function filters.change_answer()
    local route = filters.routes[ngx.var.route]
    if route and not ngx.ctx.own and ngx.var.tries ~= "0" then
        change_response_headers(route.response_headers)
    end
end

-- The port that a redirect leads to; nil is the scheme's own.
local function port_of(redirect, var)
    if redirect.port ~= 0 then
        return redirect.port
    elseif redirect.scheme ~= "" then
        return nil
    end
    local own = var.proxy_protocol_server_port or var.server_port
    return mesh.port_of_host(var) or (filters.faces_the_world and tonumber(own)) or nil
end

local function location(redirect)
    local var = ngx.var
    local scheme = redirect.scheme ~= "" and redirect.scheme or var.scheme
    local port = port_of(redirect, var)
    local host = redirect.hostname ~= "" and redirect.hostname or var.host
    local authority = (port and port ~= DEFAULT_PORTS[scheme]) and host .. ":" .. port or host
    return scheme .. "://" .. authority .. changed(redirect)
end

-- The route's own answer.
function filters.answer()
    local route = filters.routes[ngx.var.route]
    ngx.req.discard_body()
    if route.redirect then
        ngx.status = route.redirect.status
        ngx.header["Location"] = location(route.redirect)
        ngx.header["Content-Length"] = 0
        ngx.header["Content-Type"] = ""
        return ngx.send_headers()
    end
    local response = route.response
    ngx.status = response.status
    ngx.header["Content-Length"] = #response.body
    ngx.header["Content-Type"] = response.body ~= "" and "text/plain" or ""
    ngx.print(response.body)
end

function filters.own_answer()
    ngx.header["Server"] = nil
    change_response_headers(filters.routes[ngx.var.route].response_headers)
end

return filters
