"""One budget of jobs for envy and for the tools in its scripts, by the protocol of GNU make.

Owns the pipe of tokens, the text of MAKEFLAGS, and the accounting. Knows nothing of recipes.
"""
