"""The output of envy: listeners that turn events into lines, a live display or JSON.

Besides `cli`, the only part of envy that writes to a terminal. It depends on events and errors, not
on the engine.
"""
