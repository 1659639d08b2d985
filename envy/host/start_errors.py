"""Why a program could not be started, and what to do about it."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from envy.errors import ScriptFailed
from envy.os_errors import os_error_hint


def explain_start(
    error: Exception, *, argv: Sequence[str], cwd: Path, command: str
) -> ScriptFailed:
    """Return the error for a failed start; exit code 127 means a missing program, as in a shell."""
    program = argv[0] if argv else ""
    number = error.errno if isinstance(error, OSError) else None
    code, hint = 126, ""
    if not cwd.is_dir():
        why = f"there is no directory {cwd}"
    elif not program:
        why = "the command is empty"
    elif number == errno.ENOENT and "/" not in program:
        code, why = 127, f"there is no program {program!r} on PATH"
        hint = f"install {program}, or depend on a recipe that provides it"
    elif number == errno.ENOENT and os.path.lexists(cwd / program):
        why = f"the interpreter or loader of {program} is missing"
        hint = (
            "is it built for another C library, or a script whose first line names a missing file?"
        )
    elif number == errno.ENOENT:
        code, why = 127, f"there is no file {program}"
    elif number == errno.E2BIG:
        why = "its arguments and environment are too long"
        hint = "pass long data in a file"
    elif number == errno.ENOEXEC:
        why = f"{program} is not a program for this machine"
        hint = "a script needs a first line such as #!/bin/sh"
    elif isinstance(error, OSError):
        why = f"{program}: {os.strerror(error.errno or 0)}"
        hint = os_error_hint(error)
        if number == errno.EACCES:
            hint = f"make it executable: chmod +x {program}"
    else:
        why = str(error)
    return ScriptFailed(
        command=command,
        exit_code=code,
        reason=f"could not be started, because {why}",
        hint=hint,
    )
