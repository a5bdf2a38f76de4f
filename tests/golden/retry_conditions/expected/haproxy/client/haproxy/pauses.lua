-- The pause before a retry: a random one, up to as many milliseconds as are given.
math.randomseed(os.time())

core.register_action("pause", { "http-req" }, function(_, most)
    core.msleep(math.random(1, tonumber(most)))
end, 1)
