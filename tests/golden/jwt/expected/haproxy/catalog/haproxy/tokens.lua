-- Tokens, see docs/wire-contract.md. The keys are read once, before there are any requests.
local found, pkey = pcall(require, "openssl.pkey")
if not found then
    error("this bundle verifies tokens (JWT), which takes the package lua-luaossl", 0)
end
local digest = require("openssl.digest")

local DEEPEST = 64

local ALGORITHMS = {
    RS256 = { digest = "sha256" },
    RS384 = { digest = "sha384" },
    RS512 = { digest = "sha512" },
    ES256 = { digest = "sha256", length = 32 },
    ES384 = { digest = "sha384", length = 48 },
    ES512 = { digest = "sha512", length = 66 },
}

local keys = {}
local file = assert(io.open("token-keys.pem"))
for pem in file:read("a"):gmatch("%-+BEGIN PUBLIC KEY%-+[^-]+%-+END PUBLIC KEY%-+\n") do
    keys[#keys + 1] = pkey.new(pem)
end
file:close()

local SHORT = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { ["true"] = true, ["false"] = false }
local SPACE_DELIMITED = { scope = true }

local value

local function unescape(text, at)
    local letter = text:sub(at, at)
    if SHORT[letter] then
        return SHORT[letter], at + 1
    end
    local unit = tonumber(text:match("^u(%x%x%x%x)", at) or error("escape"), 16)
    local low = unit >= 0xD800 and unit < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", at + 5)
    if low then
        return utf8.char(0x10000 + (unit - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00), at + 11
    end
    return utf8.char(unit), at + 5
end

-- From behind the opening quote.
local function quoted(text, at)
    local parts = {}
    while true do
        local plain, stop = text:match('^([^"\\%c]*)()', at)
        parts[#parts + 1] = plain
        local mark = text:sub(stop, stop)
        if mark == '"' then
            return table.concat(parts), stop + 1
        elseif mark ~= "\\" then
            error("text")
        end
        parts[#parts + 1], at = unescape(text, stop + 1)
    end
end

local function blanks(text, at)
    return text:match("^[ \t\r\n]*()", at)
end

-- The rest of an object or a list, whose members `member` reads.
local function members(text, at, closing, member)
    at = blanks(text, at)
    if text:sub(at, at) == closing then
        return at + 1
    end
    while true do
        at = blanks(text, member(at))
        local mark = text:sub(at, at)
        if mark == closing then
            return at + 1
        elseif mark ~= "," then
            error("members")
        end
        at = blanks(text, at + 1)
    end
end

local function object(text, at, depth)
    local found = {}
    at = members(text, at, "}", function(start)
        if text:sub(start, start) ~= '"' then
            error("name")
        end
        local name, stop = quoted(text, start + 1)
        stop = text:match("^[ \t\r\n]*:()", stop) or error("colon")
        if found[name] ~= nil then
            error("twice")
        end
        found[name], stop = value(text, stop, depth)
        return stop
    end)
    return { object = found }, at
end

local function list(text, at, depth)
    local found = {}
    at = members(text, at, "]", function(start)
        local item, stop = value(text, start, depth)
        found[#found + 1] = item
        return stop
    end)
    return { list = found }, at
end

local function number(text, at)
    local digits, stop = text:match("^(-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
    if not digits or digits:match("^-?0%d") or digits:match("%.$") or digits:match("%.[eE]") then
        error("number")
    end
    return tonumber(digits) or error("number"), stop
end

-- A null is false here: nothing asks for either.
value = function(text, at, depth)
    if depth > DEEPEST then
        error("depth")
    end
    at = blanks(text, at)
    local first = text:sub(at, at)
    if first == "{" then
        return object(text, at + 1, depth + 1)
    elseif first == "[" then
        return list(text, at + 1, depth + 1)
    elseif first == '"' then
        return quoted(text, at + 1)
    end
    local word = text:match("^%l+", at)
    if word == "null" then
        return false, at + 4
    elseif WORDS[word] ~= nil then
        return WORDS[word], at + #word
    end
    return number(text, at)
end

local function parse(text)
    if not text or not utf8.len(text) then
        error("encoding")
    end
    local found, stop = value(text, 1, 0)
    if blanks(text, stop) ~= #text + 1 or type(found) ~= "table" or not found.object then
        error("object")
    end
    return found.object
end

local function read(txn)
    if txn.f:req_fhdr_cnt("authorization") ~= 1 then
        return
    end
    local line = txn.f:req_fhdr("authorization")
    local head, claims, signature = line:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
    if not head or #head % 4 == 1 or #claims % 4 == 1 or #signature % 4 == 1 then
        return
    end
    local read_head = parse(txn.c:ub64dec(head))
    -- What it lists must be understood (RFC 7515, section 4.1.11), and nothing is.
    if read_head.crit ~= nil then
        return
    end
    txn:set_priv({
        head = read_head,
        claims = parse(txn.c:ub64dec(claims)),
        signed = head .. "." .. claims,
        signature = txn.c:ub64dec(signature),
    })
end

core.register_action("read_token", { "http-req" }, function(txn)
    txn:set_priv(nil)
    pcall(read, txn)
end, 0)

local function about(name, says)
    core.register_fetches(name, function(txn, ...)
        local token = txn:get_priv()
        return token and says(token, ...) and 1 or 0
    end)
end

local function is_time(time)
    return type(time) == "number" and time >= 0
end

local function is_registered(claims)
    return (claims.nbf == nil or is_time(claims.nbf))
        and (claims.iat == nil or is_time(claims.iat))
        and (claims.sub == nil or type(claims.sub) == "string")
        and (claims.jti == nil or type(claims.jti) == "string")
end

about("token_from", function(token, issuer, skew)
    local claims, now = token.claims, os.time()
    return claims.iss == issuer
        and is_registered(claims)
        and is_time(claims.exp)
        and now <= claims.exp + tonumber(skew)
        and now + tonumber(skew) >= (claims.nbf or 0)
end)

local function integer(bytes)
    bytes = bytes:gsub("^\0+", "")
    if bytes == "" or bytes:byte() > 127 then
        bytes = "\0" .. bytes
    end
    return "\2" .. string.char(#bytes) .. bytes
end

-- Two numbers side by side (RFC 7518, section 3.4) as OpenSSL has them.
local function pair(signature, length)
    if #signature ~= 2 * length then
        return nil
    end
    local numbers = integer(signature:sub(1, length)) .. integer(signature:sub(length + 1))
    return (#numbers > 127 and "\48\129" or "\48") .. string.char(#numbers) .. numbers
end

about("token_by", function(token, number, name, kid)
    local head, algorithm = token.head, ALGORITHMS[name]
    if head.alg ~= name or (kid and head.kid and head.kid ~= "" and head.kid ~= kid) then
        return false
    end
    local signature = token.signature
    if algorithm.length then
        signature = pair(signature, algorithm.length)
    end
    if not signature then
        return false
    end
    local key, hash = keys[tonumber(number)], digest.new(algorithm.digest):update(token.signed)
    -- A signature of the wrong form is an error, and as bad as any other.
    local done, good = pcall(key.verify, key, signature, hash)
    return done and good
end)

about("token_has", function(token, name, text)
    local claim = token.claims[name]
    if type(claim) == "string" then
        if SPACE_DELIMITED[name] then
            return (" " .. claim .. " "):find(" " .. text .. " ", 1, true)
        end
        return claim == text
    end
    for _, each in ipairs(type(claim) == "table" and claim.list or {}) do
        if each == text then
            return true
        end
    end
end)
