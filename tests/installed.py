"""What works on this machine: programs (what is on PATH may be a shim), and a folder in memory."""

import functools
import os
import shutil
import subprocess

VERSION = {"go": "version", "pwsh": "-Version"}  # of all others, --version


@functools.cache
def works(program):
    """Return whether a program is on PATH and can say its version."""
    if shutil.which(program) is None:
        return False
    run = subprocess.run(
        [program, VERSION.get(program, "--version")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return run.returncode == 0


def folder_in_memory(least=4 << 30):
    """Return a folder in memory that has room and whose programs can be run, or None."""
    shared = "/dev/shm"
    if not os.access(shared, os.W_OK | os.X_OK):
        return None
    state = os.statvfs(shared)
    usable = state.f_bavail * state.f_frsize >= least and not state.f_flag & os.ST_NOEXEC
    return shared if usable else None
