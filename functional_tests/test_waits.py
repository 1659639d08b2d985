"""A run that seems stuck reports what each recipe waits for, and why."""

import os
import signal

import pytest

APP = (
    'dependencies = { { recipe = "local.tool@r1", needed_by = "check" } }\n'
    'build = "true"\ninstall = "touch app"'
)


@pytest.fixture
def stuck(project):
    """A project in which `local.tool` waits for the test, and the FIFOs that control it."""
    started, leave = project.root / "started.fifo", project.root / "leave.fifo"
    os.mkfifo(started)
    os.mkfifo(leave)
    project.packages("local.app@r1", "local.other@r1")
    project.recipe("local.app@r1", APP)
    project.recipe("local.other@r1", 'install = "touch other"')
    project.recipe("local.tool@r1", f'install = "echo x > {started}; read x < {leave}; touch tool"')
    return project, started, leave


def lines_until(stream, word):
    """Return the lines of a stream, up to a line that contains a word."""
    lines = []
    while not lines or word not in lines[-1]:
        lines.append(stream.readline().decode())
        assert lines[-1], lines
    return "".join(lines)


def report_when_all_wait(process):
    """Return a report of two recipes that wait and one that runs a script.

    The script may run before its process is registered, and before the others wait.
    """
    output = ""
    while not ("; pid " in output and output.count(": waits before check for ") == 2):
        process.send_signal(signal.SIGUSR1)
        output = lines_until(process.stderr, "local.other@r1: waits before")
    return output


def test_sigusr1_reports_all_waits(stuck):
    """The report has running processes, dependencies with their location, and used slots."""
    project, started, leave = stuck
    process = project.popen("sync", "--jobs", "1", "--quiet")
    started.read_text()
    output = report_when_all_wait(process)
    leave.write_text("go\n")
    assert process.wait(timeout=300) == 0
    process.communicate()
    assert "local.tool@r1: runs install for " in output
    assert "local.app@r1: waits before check for " in output
    assert "for local.tool@r1 (strong, recipes/local.app@r1.lua:2), which runs install" in output
    assert "local.other@r1: waits before check for a slot for " in output
    assert "1 of 1 work slots (--jobs) are taken, by local.tool@r1" in output


def test_a_wait_for_a_lock_names_the_holder(stuck):
    """A process that waits for a lock reports the pid of the process that holds it."""
    project, started, leave = stuck
    first = project.popen("sync", "tool")
    started.read_text()
    second = project.popen("sync", "tool", "--trace=stderr")
    lines_until(second.stderr, "target")  # from here on, the run handles signals
    output = ""
    while "waits in check" not in output:
        second.send_signal(signal.SIGUSR1)
        output = lines_until(second.stderr, "local.tool@r1: ")
    leave.write_text("go\n")
    assert (first.wait(timeout=300), second.wait(timeout=300)) == (0, 0)
    first.communicate()
    second.communicate()
    assert f"held by process {first.pid} since " in output


def test_a_cancelled_verbose_run_reports_all_waits(stuck):
    """With --verbose, the first Ctrl-C prints the same report."""
    project, started, _leave = stuck
    process = project.popen("sync", "--jobs", "1", "--verbose")
    started.read_text()
    report_when_all_wait(process)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "local.app@r1: waits before check for " in err.decode()
