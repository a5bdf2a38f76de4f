-- Which conditions on headers and on the query hold: any line of a header will do, the first occurrence of a
-- query parameter counts, and a condition may be a regular expression. nginx.conf fills the table.

local find, gmatch, match = ngx.re.find, string.gmatch, string.match

local matching = {conditions = {}}

-- NGINX takes spaces away from both ends of a value, but not tabs. In two steps, each of them as long as the
-- line; one expression for both would try again at every blank within.
local function trimmed(line)
    return match(match(line, "^[ \t]*(.*)$"), "^.*[^ \t]") or ""
end

-- Whether it matches, or nil when that could not be found out in bounded time.
local function matches(value, pattern)
    local from, _, fault = find(value, pattern, "jou")
    if fault then -- not UTF-8
        from, _, fault = find(value, pattern, "jo")
    end
    if fault then
        return nil
    end
    return from ~= nil
end

local function try(conditions, value, found)
    found[#found + 1] = conditions.exact[value]
    for _, each in ipairs(conditions.regexes) do
        local verdict = matches(value, each.pattern)
        if verdict ~= false then
            found[#found + 1] = verdict and each.number or "fault"
        end
    end
    found[#found + 1] = conditions.present
end

local function try_queries(all, found)
    local seen = {}
    for part in gmatch(match(ngx.var.request_uri, "^[^?]*%?(.*)$") or "", "[^&]+") do
        local name, value = match(part, "^([^=]*)=?(.*)$")
        if all[name] and not seen[name] then
            seen[name] = true
            try(all[name], value, found)
        end
    end
end

-- The numbers of the conditions that hold, as ",3,17,". "fault" stands for one that nobody could tell.
function matching.holding(key)
    local all, found = matching.conditions[key], {}
    local headers = next(all.headers) and ngx.req.get_headers(0)
    for name, conditions in pairs(all.headers) do
        local lines = rawget(headers, name)
        if type(lines) == "table" then
            for _, line in ipairs(lines) do
                try(conditions, trimmed(line), found)
            end
        elseif type(lines) == "string" then
            try(conditions, trimmed(lines), found)
        end
    end
    if next(all.queries) then
        try_queries(all.queries, found)
    end
    return "," .. table.concat(found, ",") .. ","
end

return matching
