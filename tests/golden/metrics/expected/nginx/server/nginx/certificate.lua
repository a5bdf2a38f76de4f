-- When a certificate ends. Neither proxy tells its Lua; this reads the file once, when the proxy reads it too.

local certificate = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local EXPLICIT_VERSION = 0xA0

local function decode(base64)
    local bytes, held, bits = {}, 0, 0
    for character in base64:gmatch("[A-Za-z0-9+/]") do
        held, bits = held * 64 + ALPHABET:find(character, 1, true) - 1, bits + 6
        if bits >= 8 then
            bits = bits - 8
            bytes[#bytes + 1] = string.char(math.floor(held / 2 ^ bits))
            held = held % 2 ^ bits
        end
    end
    return table.concat(bytes)
end

-- Where the contents of the element at a place begin, and where the next one does (X.690, 8.1).
local function element(der, at)
    local length, begin = der:byte(at + 1), at + 2
    if length >= 128 then
        local octets = length - 128
        length = 0
        for place = begin, begin + octets - 1 do
            length = length * 256 + der:byte(place)
        end
        begin = begin + octets
    end
    return begin, begin + length
end

-- Since 1970, of a time as RFC 5280, 4.1.2.5 has it; days by the calendar of the Gregorian era.
local function seconds(text)
    local year, month, day, hour, minute, second = text:match("^(%d+)(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)Z$")
    local long = #year == 4
    year, month = tonumber(year), tonumber(month)
    if not long then
        year = year + (year < 50 and 2000 or 1900)
    end
    if month <= 2 then
        year, month = year - 1, month + 12
    end
    local leaps = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    local days = 365 * year + leaps + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second
end

local function ends(pem)
    local der = decode(pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END"))
    local at = element(der, element(der, 1))
    if der:byte(at) == EXPLICIT_VERSION then
        at = select(2, element(der, at))
    end
    for _ = 1, 3 do -- serial number, algorithm, issuer
        at = select(2, element(der, at))
    end
    local _, after = element(der, (element(der, at)))
    local begin, past = element(der, after)
    return seconds(der:sub(begin, past - 1))
end

-- As seconds since 1970; nil where the file is not there yet, or holds no certificate.
function certificate.ends(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local pem = file:read("*a")
    file:close()
    local understood, found = pcall(ends, pem)
    return understood and found or nil
end

return certificate
