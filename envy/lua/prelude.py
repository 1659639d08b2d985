"""The Lua code that turns a state into a sandbox, compiled once per process.

Owns `prelude.lua`. Loading compiled code is three times cheaper than compiling it for each state.
"""

import functools
from pathlib import Path

from lupa import lua54

_COMPILE = b"local text = ... return string.dump(assert(load(text, '=prelude', 't')), true)"


@functools.cache
def prelude_bytecode() -> bytes:
    """Return the prelude as bytecode for the Lua of this process, without debug information."""
    text = Path(__file__).with_name("prelude.lua").read_bytes()
    scratch = lua54.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    compiled: bytes = scratch.execute(_COMPILE, text)
    return compiled
