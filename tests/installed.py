"""Which programs of this machine work: what is on PATH may be a shim without a toolchain."""

import functools
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
