-- Whether a caller's certificate names it once: one URI in it, and that the subject's. Asked once for each connection.

local mtls = {}

local FEW = 10000

local known, number = {}, 0

local function hexadecimal(text)
    return (text:gsub(".", function (character) return string.format("%02X", character:byte()) end))
end

local function names_one()
    local name = ngx.var.ssl_client_s_dn:match("^CN=([^,]+),")
    local encoded = ngx.var.ssl_client_raw_cert:gsub("%-%-%-%-%-[A-Z ]+%-%-%-%-%-", ""):gsub("%s", "")
    local certificate = ngx.decode_base64(encoded)
    if not name or not certificate then
        return ""
    end
    return ngx.re.find(hexadecimal(name) .. ":" .. hexadecimal(certificate), mtls.pattern, "jo") and "1" or ""
end

-- The connection's number is never used again, and its certificate never changes.
function mtls.names_one()
    local connection = ngx.var.connection
    local found = known[connection]
    if found == nil then
        if number == FEW then
            known, number = {}, 0
        end
        -- Who is in plaintext has no name at all.
        found = ngx.var.https == "" and "1" or names_one()
        known[connection], number = found, number + 1
    end
    return found
end

return mtls
