"""The parts that phases share while they run: ctx, scripts, locks, Lua states, transfers."""
