"""What the user sees: listeners that turn events into lines, a live display or JSON.

Apart from `cli`, the only place in envy that writes to a terminal. It knows events and errors, and
nothing of the engine.
"""
