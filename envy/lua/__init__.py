"""Lua: states, the conversion of values, the sandbox, and the positions of tables in a file."""
