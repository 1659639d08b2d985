"""Native tests on disk, and a zig to build them with.

The zig is that of envy.zig@r1 in the user's own cache; what it compiles of its own on first use is
shared by all tests of a run.

A plain module; conftest.py has the fixture `native_project`.
"""

import os
import platform
import subprocess
import time
from pathlib import Path

import pytest
from project import Project, envy_command


def zig_folder(scratch):
    """Return the folder of envy.zig@r1; install it if it is missing."""
    manifest = scratch / "envy.lua"
    manifest.write_text('packages = { "envy.zig@r1" }\n')
    run = subprocess.run(
        [envy_command(), "--manifest", str(manifest), "asset", "zig"],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        pytest.skip(f"envy.zig@r1 cannot be installed here: {run.stderr.strip()}")
    return Path(run.stdout.strip())


class NativeProject(Project):
    """Folders with C tests; only zig is on PATH."""

    def __init__(self, root, zig, zig_cache):
        super().__init__(root)
        self.zig = zig
        self.zig_cache = zig_cache

    def environment(self, extra=None):
        """Return an environment in which zig is the only compiler."""
        variables = super().environment(extra)
        for name in ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH"):
            variables.pop(name, None)
        own = {"PATH": str(self.zig), "ZIG_GLOBAL_CACHE_DIR": str(self.zig_cache)}
        return {**variables, **own, **(extra or {})}

    def write(self, name, text, **options):
        """Write a file as if some time ago: of what was just written, nothing is kept."""
        path = super().write(name, text, **options)
        earlier = time.time() - 10
        os.utime(path, (earlier, earlier))
        return path

    def envy_test(self, *words, code=0, **options):
        """Run `envy test`."""
        return self.envy("test", *words, code=code, trace=False, **options)

    def compiler(self):
        """Return the command of a compiler whose runtime zig has already compiled for envy."""
        libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
        target = f"{platform.machine()}-linux-gnu.{libc}"
        return [f"{self.zig}/zig", "cc", "-target", target, "-fno-sanitize=undefined"]

    def kept(self, name):
        """Return the kept files of this name."""
        return sorted(self.cache.glob(f"*/test*/native/??/*/{name}")) + sorted(
            self.cache.glob(f"test*/native/??/*/{name}")
        )
