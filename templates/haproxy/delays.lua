-- A pause of so many milliseconds, in which nothing is asked of a callee.
core.register_action("delay", { "http-req" }, function(_, length)
    core.msleep(tonumber(length))
end, 1)
