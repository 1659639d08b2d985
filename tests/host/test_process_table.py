import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from envy.host.process_table import (
    is_alive,
    kill_marked,
    members_of_group,
    process_start_time,
    wait_for_group,
)

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def test_a_process_is_identified_by_its_start_time():
    """A running process has a constant start time, which differs from that of another."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert process_start_time(child.pid) == process_start_time(child.pid) is not None
        assert process_start_time(child.pid) != process_start_time(os.getpid())
        assert is_alive(child.pid)
    finally:
        child.communicate(b"\n")
    assert process_start_time(child.pid) is None
    assert not is_alive(child.pid)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs waitid")
def test_a_process_that_waits_to_be_reaped_is_not_alive():
    """A zombie has ended."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)
    child.wait()


@pytest.mark.parametrize("pid", [0, -1])
def test_numbers_below_one_are_not_processes(pid):
    """To the system, zero and negative numbers mean groups."""
    assert not is_alive(pid)
    assert process_start_time(pid) is None


@needs_proc
def test_the_members_of_a_group_are_listed_without_its_leader():
    """The leader is the caller's own child, and is left out."""
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        member = int(leader.stdout.readline())
        assert [pid for pid, _name in members_of_group(leader.pid)] == [member]
        os.killpg(leader.pid, signal.SIGKILL)
    wait_for_group(leader.pid)
    assert members_of_group(leader.pid) == ()


@needs_proc
def test_a_group_that_has_ended_is_not_waited_for():
    """A group without live members is not waited for."""
    with subprocess.Popen(["true"], start_new_session=True) as leader:
        pass
    wait_for_group(leader.pid)


@needs_proc
def test_processes_with_a_mark_are_killed():
    """The process with the mark in its environment is killed, and another goes on."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, env={"ENVY_MARK": "this"}, **pipes) as marked,
        subprocess.Popen(command, env={"ENVY_MARK": "other"}, **pipes) as other,
    ):
        marked.stdout.readline()
        other.stdout.readline()
        kill_marked(b"ENVY_MARK=this")
        assert marked.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
