"""The first line of a script, `#!`, of which the system reads only a part.

If the interpreter does not fit, `/bin/sh` executes it, in a form that the interpreter itself
passes over.
"""

import os
import re
import shlex

_LONGEST = 255  # bytes that Linux reads of the line; macOS reads 512
_PYTHON = re.compile(r"(python|pypy)[0-9.]*[a-z]?")
_SKIPPING = re.compile(r"(perl|ruby)[0-9.]*")  # with -x, these begin at a line that names them
_NODE = re.compile(r"node(js)?[0-9.]*")


def interpreter_of(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the interpreter of a script, its argument and the rest after the line."""
    line, _, rest = data.partition(b"\n")
    interpreter, _, argument = line[2:].strip(b" \t\r").partition(b" ")
    return interpreter, argument.strip(b" \t"), rest


def script_with(interpreter: bytes, argument: bytes, rest: bytes) -> bytes:
    """Return a script for an interpreter, however long its path is.

    Raises:
        ValueError: the path is too long, and no other form is known for the interpreter.
    """
    line = b"#!" + interpreter + (b" " + argument if argument else b"")
    if len(line) <= _LONGEST and not interpreter.split()[1:]:
        return line + b"\n" + rest
    name = os.fsdecode(interpreter).rpartition("/")[2]
    words = [os.fsdecode(interpreter), *([os.fsdecode(argument)] if argument else [])]
    run = os.fsencode(shlex.join(words)) + b' "$0" "$@"\n'
    if _PYTHON.fullmatch(name):
        return b"#!/bin/sh\n'''exec' " + run + b"' '''\n" + rest
    if _NODE.fullmatch(name):
        return b"#!/bin/sh\n':' //; exec " + run + rest
    if _SKIPPING.fullmatch(name):
        run = os.fsencode(shlex.join([words[0], "-x", *words[1:]])) + b' "$0" "$@"\n'
        again = b" " + argument if argument else b""
        return b"#!/bin/sh\nexec " + run + b"#!" + os.fsencode(name) + again + b"\n" + rest
    raise ValueError(
        f"would begin with a line (#!) of {len(line)} bytes, of which systems read {_LONGEST}"
        if len(line) > _LONGEST
        else "would name an interpreter with a space in its path"
    )
