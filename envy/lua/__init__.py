"""Lua: states, the conversion of values, what recipes may do, and where things stand in a file."""
