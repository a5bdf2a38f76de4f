-- Who reads a ring can miss that a line came while it was at the one before, and then waits for the next. This is a
-- next one, each second; nobody writes it down, for it is of the level "debug".
core.register_task(function()
    while true do
        core.sleep(1)
        core.log(core.debug, "")
    end
end)
