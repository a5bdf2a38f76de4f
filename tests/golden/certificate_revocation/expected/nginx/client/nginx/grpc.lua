-- What a sidecar answers by itself to a call of gRPC, in the words of gRPC: a status beside HTTP's 200.

local find = string.find

local grpc = {}

-- https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
local STATUSES = {[400] = 13, [403] = 7, [404] = 12, [429] = 14, [502] = 14, [503] = 14, [504] = 14}
local UNKNOWN, HOP_STATUS = 2, 425

local function is_call(var)
    return find(var.http_content_type or "", "^application/grpc")
end

-- At the head of an answer that nobody else has given.
function grpc.own_answer()
    local header = ngx.header
    if not is_call(ngx.var) then
        return
    end
    header["grpc-status"] = STATUSES[ngx.status] or UNKNOWN
    header["Content-Type"] = "application/grpc"
    header["Content-Length"] = 0
    ngx.status = 200
    ngx.ctx.body = ""
end

-- Where an answer may be somebody's.
function grpc.answer()
    local head_came = (mesh.last_of(ngx.var.upstream_header_time) or "-") ~= "-"
    if ngx.ctx.own or not head_came then
        grpc.own_answer()
    end
end

-- For the application, which said nothing. That it heard nothing is a word between sidecars.
function grpc.unheard_answer()
    if ngx.status ~= HOP_STATUS then
        grpc.own_answer()
    end
end

return grpc
