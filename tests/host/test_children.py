import os
import threading
import time
from pathlib import Path

import pytest

from envy.environment import environment
from envy.errors import Cancelled, EnvyError
from envy.host.children import Child, Children
from envy.host.process import run_argv
from envy.host.process_table import is_alive

FAST = 300.0  # seconds; what must not be waited for takes 600


class Runner(threading.Thread):
    """Runs a script in a thread; `ready` is set by its first output, which is its number."""

    def __init__(self, children: Children, script: str) -> None:
        super().__init__(daemon=True)
        self.children = children
        self.script = script
        self.ready = threading.Event()
        self.pid = 0
        self.outcome: object = None
        self.start()
        assert self.ready.wait(FAST)

    def run(self) -> None:
        try:
            self.outcome = run_argv(
                ["sh", "-c", self.script],
                cwd=Path("/"),
                environment=environment(),
                children=self.children,
                on_output=self.on_output,
            )
        except EnvyError as error:
            self.outcome = error

    def on_output(self, _: str, chunk: bytes) -> None:
        self.pid = self.pid or int(chunk.split()[0])
        self.ready.set()


def test_every_run_returns_when_all_are_terminated():
    """Threads that wait for children return at once with Cancelled."""
    children = Children()
    runners = [Runner(children, "echo $$; sleep 600; sleep 600") for _ in range(3)]
    started = time.monotonic()
    assert children.terminate_all(grace=60)
    for runner in runners:
        runner.join(FAST)
    assert time.monotonic() - started < FAST
    assert [type(runner.outcome) for runner in runners] == [Cancelled] * 3
    assert not any(is_alive(runner.pid) for runner in runners)


def test_a_child_that_ignores_the_request_is_killed():
    """After the grace, a child that has not ended is killed with its group."""
    children = Children()
    runner = Runner(children, "trap '' TERM; echo $$; while :; do sleep 0.01; done")
    children.terminate_all(grace=0.1)  # its end may take as long as that once more
    runner.join(FAST)
    assert isinstance(runner.outcome, Cancelled)
    assert not is_alive(runner.pid)


def test_a_group_member_that_ignores_the_request_is_killed():
    """The grace also ends for processes that outlive the main child."""
    children = Children()
    runner = Runner(children, "(trap '' TERM; sh -c 'echo $PPID'; while :; do sleep 0.01; done)")
    started = time.monotonic()
    children.terminate_all(grace=0.2)
    runner.join(FAST)
    assert time.monotonic() - started < FAST
    # A signal that was sent is not yet an end, where many processes want the processor.
    while is_alive(runner.pid) and time.monotonic() - started < FAST:
        time.sleep(0.01)
    assert not is_alive(runner.pid)


def test_a_successful_end_is_reported():
    """A child that exits with 0 when asked to end has done its work."""
    children = Children()
    runner = Runner(children, "trap 'exit 0' TERM; echo $$; while :; do sleep 0.01; done")
    children.terminate_all(grace=FAST)
    runner.join(FAST)
    assert runner.outcome.exit_code == 0


def test_a_flood_of_output_does_not_delay_the_end():
    """A child whose output is being read all the time is terminated like any other."""
    children = Children()
    runner = Runner(children, "echo $$; exec yes")
    children.terminate_all(grace=0.5)
    runner.join(FAST)
    assert isinstance(runner.outcome, Cancelled)


def test_a_child_that_starts_during_termination_is_killed():
    """A child that starts after `terminate_all` has begun is killed when it is added."""
    children = Children()
    children.terminate_all()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], environment(), setpgroup=0)
    children.add(Child(pid, label="", command="sleep", has_group=True))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9


def test_a_child_that_has_left_the_registry_gets_no_signal():
    """The number of a reaped child may belong to another process, and is not signalled."""
    children = Children()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], environment(), setpgroup=0)
    child = Child(pid, label="", command="sleep", has_group=True)
    children.send(child, 9)
    assert is_alive(pid)
    children.add(child)
    children.remove(child)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9


def test_terminating_no_children_returns_at_once():
    """Without children there is nothing to wait for."""
    started = time.monotonic()
    assert Children().terminate_all(grace=60)
    assert time.monotonic() - started < FAST


def test_views_of_one_registry_are_terminated_together():
    """A view with hooks is the same registry."""
    children = Children()
    hooked = children.hooked(on_start=lambda _: None, on_end=lambda _: None)
    runner = Runner(hooked, "echo $$; exec sleep 600")
    assert [child.pid for child in children.running()] == [runner.pid]
    assert children.terminate_all(grace=FAST)
    with pytest.raises(Cancelled):
        hooked.ensure_open()
