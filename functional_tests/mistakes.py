"""Checks that the tests of bad input share: the message, the exit code, and what is left behind.

A plain module, for the files test_bad_*.py.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

# An interrupted run ends within two seconds and its last messages; the rest is for a busy machine.
# What would not be interrupted runs much longer.
PROMPT = 300
ENDLESS = "sleep 1000"  # what scripts leave running, or run when interrupted


def fails(project, reason, *parts, words=("sync",), code=1, markers=(), **details):
    """Run envy, whose report has this reason once, with these parts; return the outcome."""
    outcome = project.envy(*words, code=code, **details)
    assert report_of(outcome.err).count(reason) == 1, outcome.err
    for part in parts:
        assert part in outcome.err, outcome.err
    assert_clean(project, outcome.err, markers=markers)
    return outcome


def report_of(output):
    """Return the output without the lines that show a failure when it happens."""
    return "".join(
        line for line in output.splitlines(keepends=True) if not line.startswith("failed ")
    )


def one_fails(project, body, reason, *parts, where="recipes/local.one@r1.lua:2", **details):
    """Do the same for a recipe with this body; the error names its line and declaration."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", body)
    return fails(
        project,
        reason,
        f"{where}: ",
        "error: local.one@r1: ",
        "declared in envy.lua:2",
        *parts,
        **details,
    )


def assert_clean(project, output, *, markers=()):
    """Assert that a run left no traceback, marker, lock or process."""
    assert "Traceback" not in output, output
    assert "bug in envy" not in output, output
    assert project.markers() == sorted(markers)
    assert project.held_locks() == []
    assert left_running(project) == []


def left_running(project):
    """Return the command lines of running processes that use the project's cache."""
    mark = os.fsencode(str(project.cache))
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes() and not _ends_soon(int(entry.name)):
                found.append((entry / "cmdline").read_bytes())
    return found


def _ends_soon(pid):
    """Whether a process has ended, or ends soon, as one that was killed does."""
    try:
        watch = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        return bool(poll.poll(10_000))
    finally:
        os.close(watch)


class Interrupted:
    """How a run of envy ended that got a signal when a text appeared in its output."""

    def __init__(self, project, *words, once, number=signal.SIGINT, then=None, **options):
        process = project.popen("--verbose", *words, **options)
        guard = threading.Timer(300, process.kill)
        guard.start()
        try:
            self.err = self._read_until(process, once)
            began = time.monotonic()
            process.send_signal(number)
            if then is not None:
                then(process)
            self.out, rest = process.communicate(timeout=300)
            self.seconds = time.monotonic() - began
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        finally:
            guard.cancel()
        self.err += rest.decode("utf-8", "replace")
        self.code = process.returncode

    def _read_until(self, process, once):
        output = b""
        while once.encode() not in output:
            line = process.stderr.readline()
            assert line, f"ended before it printed {once!r}: {output.decode()}"
            output += line
        return output.decode()


def interrupt(project, *words, once, **details):
    """Interrupt envy when it prints `once`; assert that it ends promptly and leaves nothing."""
    ended = Interrupted(project, *(words or ("sync",)), once=once, **details)
    assert ended.code == 130, ended.err
    assert ended.seconds < PROMPT
    assert "cancelled" in ended.err
    assert_clean(project, ended.err)
    return ended


class Mistakes:
    """Recipes with mistakes, synced by one run, and the error of each.

    `cases` are (body, reason, parts…). The recipe of case N is local.caseN@r1, declared in line
    N + 2 of the manifest; its body begins in line 2 of its file.
    """

    def __init__(self, project, cases, **details):
        self.project = project
        names = [f"local.case{number}@r1" for number in range(len(cases))]
        for name, (body, *_) in zip(names, cases, strict=True):
            project.recipe(name, body)
        project.packages(*names)
        self.outcome = project.envy("sync", code=1, **details)
        self.errors = {}
        for block in self.outcome.err.split("\nerror: ")[1:]:
            self.errors[block.partition(": ")[0]] = block + "\n"

    def check(self, number, reason, *parts):
        """Assert that the error of a case has the reason once, the parts, and the declaration."""
        name = f"local.case{number}@r1"
        error = self.errors[name]
        reason = reason.replace("FILE", f"recipes/{name}.lua").replace("NAME", name)
        assert report_of(self.outcome.err).count(reason) == 1, error
        for part in (*parts, f"declared in envy.lua:{number + 2}"):
            assert part in error, error
