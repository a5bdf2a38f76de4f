-- A pause of so many milliseconds, in which nothing is asked of a callee. HAProxy ends it when the client goes away,
-- and goes on with the request; the variable tells.
core.register_action("delay", { "http-req" }, function(txn, length)
    txn:set_var("txn.delaying", true)
    core.msleep(tonumber(length))
    txn:set_var("txn.delaying", false)
end, 1)
