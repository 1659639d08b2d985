"""A Go module on disk, and running `envy test` in it.

The toolchain is the one on PATH, or else that of envy.go@r1 in the user's own cache.

A plain module; conftest.py has the fixture `go_project`.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from installed import works
from project import Project, envy_command


def go_folder(scratch):
    """Return the folder of a Go toolchain's programs; install envy.go@r1 if there is no other."""
    found = shutil.which("go") if works("go") else None
    return Path(found).parent if found else installed_go(scratch)


def installed_go(scratch, version=""):
    """Return the folder of the programs of envy.go@r1; install it if it is missing."""
    options = f', options = {{ version = "{version}" }}' if version else ""
    manifest = scratch / "envy.lua"
    manifest.write_text(f'packages = {{ {{ recipe = "envy.go@r1"{options} }} }}\n')
    run = subprocess.run(
        [envy_command(), "--manifest", str(manifest), "asset", "go"],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        pytest.skip(f"envy.go@r1 {version} cannot be installed here: {run.stderr.strip()}")
    return Path(run.stdout.strip()) / "bin"


class GoProject(Project):
    """A module `example.com/m` whose packages are written by tests."""

    def __init__(self, root, go):
        super().__init__(root)
        # No file is old enough to be remembered, so that every run is a run; "0" remembers all.
        self.settle = "3600"
        self.go = go
        self.write("go.mod", "module example.com/m\n\ngo 1.21\n")

    def environment(self, extra=None):
        """Return an environment in which Go uses only the module and files on disk."""
        variables = super().environment(extra)
        for name in ("GOFLAGS", "GOWORK", "GO111MODULE", "GOPATH"):
            variables.pop(name, None)
        variables["PATH"] = os.pathsep.join([str(self.go), variables.get("PATH", "")])
        variables["ENVY_TEST_SETTLE"] = self.settle
        return {**variables, "GOPROXY": "off", "GOTOOLCHAIN": "local", **(extra or {})}

    def test(self, package, text, name="x_test.go"):
        """Write the test file of a package."""
        return self.write(f"{package}/{name}", text)

    def change(self, package, text):
        """Replace the test file of a package at once: who watches it never sees a part."""
        new = self.test(package, text, name="x_test.go.tmp")
        return new.rename(new.with_suffix(""))

    def envy_test(self, *words, code=0, **options):
        """Run `envy test`."""
        return self.envy("test", *words, code=code, trace=False, **options)


def native(project, *words):
    """Return the output of `go test -json`."""
    run = subprocess.run(
        ["go", "test", "-json", *words],
        executable=str(project.go / "go"),
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout


def events_of(run):
    """Return the events that a run with --json wrote."""
    return [json.loads(line) for line in run.out.splitlines() if line.startswith("{")]


def outcomes(run, package=None):
    """Return the last outcome of each test; "" is the package."""
    return {
        event.get("Test", ""): event["Action"]
        for event in events_of(run)
        if event["Action"] in {"pass", "fail", "skip"}
        and (package is None or event["Package"] == package)
    }


def in_time(run, *endless, seconds=0.5):
    """Call `run` with a time limit that all tests but the endless ones keep; return the outcome.

    The shorter the limit, the sooner the endless ones are ended; but on a busy machine, another
    test may need longer than that. Then the limit is four times as long.
    """
    for factor in (1, 4, 16, 64):
        outcome = run(f"{round(seconds * factor * 1000)}ms")
        late = [row.get("Test") for row in events_of(outcome) if row.get("Reason") == "timeout"]
        if all(test.endswith(endless) for test in late if test):
            break
    return outcome


def triples(text):
    """Return (package, test, outcome) from events, and from lines that an old Go adds to them.

    Addresses in the names of subtests are replaced, since they change with every run.
    """
    unbuilt = re.findall(r"^FAIL\t(\S+) \[(?:build|setup) failed\]", text, re.MULTILINE)
    untested = re.findall(r"^\?   \t(\S+)\t\[no test files\]", text, re.MULTILINE)
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {
        (row["Package"], re.sub("0x[0-9a-f]+", "ADDRESS", row.get("Test", "")), row["Action"])
        for row in rows
        if row["Action"] in {"pass", "fail", "skip"}
    } | {
        *((package, "", "fail") for package in unbuilt),
        *((package, "", "skip") for package in untested),
    }


def wait_for(path, seconds=300):
    """Wait until a child has created a file."""
    ends = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < ends, f"{path} was never created"
        os.sched_yield()
        time.sleep(0.01)
