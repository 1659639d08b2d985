"""The accounting of jobs, with a real pool, real pipes and tools that take and lose tokens."""

import contextlib
import os
import random
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from left_open import nothing_left_open

from envy.interpreter import released
from envy.jobserver.budget import NOT_ADMITTED, Jobserver
from envy.jobserver.makeflags import jobserver_in
from envy.jobserver.tokens import TokenPipe, make_pipe
from envy.scheduler.coordination import Coordination
from envy.scheduler.coordinator import Coordinator
from envy.scheduler.observer import SchedulerObserver
from envy.scheduler.pool import Pool


class Node:
    """Something that queues for a slot."""

    priority = 0.0


class Tool:
    """A tool that a script starts; it takes tokens as GNU make does, and never waits."""

    def __init__(self, admission):
        self._pair = admission.descriptors
        self._fifo = jobserver_in(admission.variables["MAKEFLAGS"]).fifo
        self.tokens = b""

    def take(self, *, by_name):
        """Take a token if there is one, as make does or, by the name of the FIFO, as ninja."""
        if by_name:
            descriptor = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                self.tokens += os.read(descriptor, 1)
            os.close(descriptor)
        else:
            os.set_blocking(self._pair[0], False)
            with contextlib.suppress(BlockingIOError):
                self.tokens += os.read(self._pair[0], 1)

    def give_back(self, count=None):
        """Return some tokens, or all."""
        count = len(self.tokens) if count is None else count
        os.write(self._pair[1], self.tokens[:count])
        self.tokens = self.tokens[count:]


@pytest.fixture
def make(tmp_path):
    """A function that creates jobservers, which are closed at the end."""
    with contextlib.ExitStack() as closing:

        def made(jobs, **details):
            jobserver = Jobserver(jobs=jobs, folder=tmp_path / "fifos", name="it", **details)
            closing.callback(jobserver.close)
            return jobserver

        yield made


def fifos(folder):
    return sorted(path.name for path in (folder / "fifos").glob("*"))


def test_nothing_is_created_before_a_script_runs(make, tmp_path):
    """Slots alone cost neither a file nor a descriptor, and are never refused."""
    with nothing_left_open():
        jobserver = make(4)
        assert all(jobserver.cover(running) for running in (1, 2, 3, 4))
        jobserver.settle(0)
    assert fifos(tmp_path) == []


def test_tools_get_what_the_slots_do_not_need(make):
    """Of four jobs two are slots, so that two tokens are left for tools."""
    jobserver = make(4)
    jobserver.cover(2)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        for by_name in (True, False, True):
            tool.take(by_name=by_name)
        assert len(tool.tokens) == 2
        assert not jobserver.could_cover(3)
        assert not jobserver.cover(3)
        tool.give_back(1)
        assert jobserver.could_cover(3)
        assert jobserver.cover(3)
        tool.take(by_name=True)
        assert len(tool.tokens) == 1
        jobserver.settle(1)
        tool.take(by_name=True)
        tool.take(by_name=True)
        assert len(tool.tokens) == 3


def test_one_job_leaves_nothing_for_tools(make):
    """With --jobs 1, a tool has only the job of its script."""
    jobserver = make(1)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        tool.take(by_name=True)
        assert tool.tokens == b""


def test_envy_always_has_one_job(make):
    """The first slot is never refused, even if tools hold all tokens."""
    jobserver = make(2)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        Tool(admission).take(by_name=True)
        jobserver.settle(0)
        assert jobserver.cover(1)


def test_tokens_of_a_killed_tool_are_restored_when_no_script_runs(make):
    """After two of three tokens are lost, the next script finds all three."""
    jobserver = make(4)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        killed = Tool(admission)
        killed.take(by_name=True)
        killed.take(by_name=False)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        for _ in range(5):
            tool.take(by_name=True)
        assert len(tool.tokens) == 3
        tool.give_back()


def test_surplus_tokens_are_removed(make):
    """A tool that returns too many tokens does not raise the limit for the next script."""
    jobserver = make(3)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        os.write(admission.descriptors[1], b"++++")
    with jobserver.admission() as admission:
        tool = Tool(admission)
        for _ in range(8):
            tool.take(by_name=True)
        assert len(tool.tokens) == 2


def test_a_refused_request_is_repeated_when_a_token_is_returned(make):
    """A thread sleeps until then, calls back, and ends."""
    jobserver = make(2)
    asked = threading.Semaphore(0)
    jobserver.on_freed(asked.release)
    jobserver.cover(1)
    with nothing_left_open():
        with jobserver.admission() as admission:
            tool = Tool(admission)
            tool.take(by_name=True)
            assert not jobserver.cover(2)
            assert not jobserver.cover(2)
            tool.give_back()
            assert asked.acquire(timeout=300)
            assert jobserver.cover(2)
        assert not asked.acquire(blocking=False)
        jobserver.close()


def test_a_refused_request_is_repeated_when_the_last_script_ends(make):
    """A killed tool returns no token; without a script, all tokens are envy's at once."""
    jobserver = make(2)
    asked = []
    jobserver.on_freed(lambda: asked.append(jobserver.cover(2)))
    jobserver.cover(1)
    with jobserver.admission() as admission:
        Tool(admission).take(by_name=True)
        assert not jobserver.cover(2)
        assert asked == []
    assert asked == [True]


def test_a_refusal_has_a_reason(make):
    """The reason states the limit and how much of it tools use."""
    jobserver = make(4)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        for _ in range(3):
            tool.take(by_name=True)
        assert not jobserver.cover(2)
        assert jobserver.reason().startswith("3 of 4 jobs (--jobs) are in use by tools")


def test_without_a_fifo_scripts_run_without_a_jobserver(tmp_path):
    """There is one warning, and no slot is refused."""
    (tmp_path / "file").write_text("")
    said = []
    jobserver = Jobserver(jobs=3, folder=tmp_path / "file", name="it", warn=said.append)
    for _ in range(2):
        with jobserver.admission() as admission:
            assert admission is NOT_ADMITTED
            assert all(jobserver.cover(running) for running in (1, 2, 3))
    [message] = said
    assert message.startswith("make and ninja cannot share --jobs: ")
    assert str(tmp_path / "file") in message
    jobserver.close()


def test_closing_with_an_open_refusal_leaves_nothing(tmp_path):
    """Thread, descriptors and FIFO are removed, though the token was never returned."""
    with nothing_left_open():
        jobserver = Jobserver(jobs=2, folder=tmp_path / "fifos", name="it")
        jobserver.cover(1)
        with jobserver.admission() as admission:
            Tool(admission).take(by_name=True)
            assert not jobserver.cover(2)
            jobserver.close()
            with jobserver.admission() as late:
                assert late is NOT_ADMITTED
    assert fifos(tmp_path) == []


def test_more_jobs_than_a_pipe_holds_are_not_an_error(make):
    """The pipe is filled as far as every system allows."""
    jobserver = make(1_000_000)
    jobserver.cover(1)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        tool.take(by_name=True)
        assert tool.tokens == b"+"


# -- under an outer jobserver ----------------------------------------------------------------------


@pytest.fixture
def outer(tmp_path):
    """An outer jobserver with two tokens: three jobs, one of which is envy itself."""
    pipe = make_pipe(tmp_path / "outer", "theirs")
    pipe.put(b"ab")
    yield pipe
    pipe.close()


def joined(outer):
    return TokenPipe(os.open(outer.fifo, os.O_RDWR | os.O_NONBLOCK), fifo=outer.fifo)


def test_slots_take_the_tokens_of_an_outer_jobserver(make, outer):
    """The second slot and each further one take a token, and return the same byte."""
    jobserver = make(8, outer=joined(outer))
    assert [jobserver.cover(running) for running in (1, 2, 3, 4)] == [True, True, True, False]
    assert outer.count() == 0
    assert "make that started envy" in jobserver.reason()
    jobserver.settle(2)
    assert outer.take() == b"b"
    jobserver.close()
    assert outer.take() == b"a"
    assert Path(outer.fifo).is_fifo()


def test_tools_take_the_tokens_of_an_outer_jobserver(make, outer, tmp_path):
    """Scripts get the outer jobserver, and envy creates none."""
    jobserver = make(8, outer=joined(outer))
    jobserver.cover(1)
    with jobserver.admission() as admission:
        tool = Tool(admission)
        tool.take(by_name=True)
        tool.take(by_name=False)
        assert tool.tokens == b"ab"
        assert not jobserver.cover(2)
        tool.give_back()
    assert outer.count() == 2
    assert fifos(tmp_path) == []


def test_a_token_of_an_outer_jobserver_repeats_a_refused_request(make, outer):
    """The token may be returned by any process."""
    jobserver = make(8, outer=joined(outer))
    asked = threading.Semaphore(0)
    jobserver.on_freed(asked.release)
    outer.take()
    outer.take()
    assert jobserver.cover(1)
    assert not jobserver.cover(2)
    outer.put(b"z")
    assert asked.acquire(timeout=300)
    assert jobserver.cover(2)


# -- any schedule ----------------------------------------------------------------------------------


class Schedules(RuleBasedStateMachine):
    """A pool with a jobserver; slots, scripts and tools come and go in any order."""

    def __init__(self):
        super().__init__()
        self.closing = contextlib.ExitStack()
        self.running = []  # a script, or None, for each slot in use
        self.lost = False
        self.lock = threading.RLock()  # as the coordinator has one

    @initialize(jobs=st.integers(1, 8))
    def begin(self, jobs):
        folder = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.jobs = jobs
        self.jobserver = Jobserver(jobs=jobs, folder=folder, name="it")
        self.closing.callback(self.jobserver.close)
        self.jobserver.on_freed(self.dispatch)
        self.pool = Pool("work", jobs)
        self.pool.budget = self.jobserver

    def dispatch(self):
        with self.lock:
            while self.pool.grant() is not None:
                self.running.append(None)
            self.pool.settle()

    def scripts(self):
        return [script for script in self.running if script is not None]

    @rule()
    def a_node_queues(self):
        with self.lock:
            self.pool.enqueue(Node())
            self.dispatch()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_script_starts(self, data):
        with self.lock:
            free = [i for i, script in enumerate(self.running) if script is None]
            if free:
                admission = contextlib.ExitStack()
                tool = Tool(admission.enter_context(self.jobserver.admission()))
                self.running[data.draw(st.sampled_from(free))] = (admission, tool)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), by_name=st.booleans())
    def a_tool_starts_a_job(self, data, by_name):
        with self.lock:
            if scripts := self.scripts():
                data.draw(st.sampled_from(scripts))[1].take(by_name=by_name)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_job_of_a_tool_ends(self, data):
        with self.lock:
            if scripts := self.scripts():
                data.draw(st.sampled_from(scripts))[1].give_back(1)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), killed=st.booleans())
    def a_script_ends(self, data, killed):
        with self.lock:
            if scripts := self.scripts():
                script = data.draw(st.sampled_from(scripts))
                self.running[self.running.index(script)] = None
                admission, tool = script
                if not killed:
                    tool.give_back()
                self.lost = self.lost or bool(tool.tokens)
                admission.close()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_slot_is_released(self, data):
        with self.lock:
            free = [i for i, script in enumerate(self.running) if script is None]
            if free:
                del self.running[data.draw(st.sampled_from(free))]
                self.pool.release()
                self.dispatch()

    @invariant()
    def no_more_jobs_than_there_are(self):
        if hasattr(self, "pool"):
            with self.lock:
                taken = sum(len(tool.tokens) for _, tool in self.scripts())
                assert len(self.running) == self.pool.busy
                assert self.pool.busy + taken <= self.jobs

    @invariant()
    def no_slot_is_refused_without_a_reason(self):
        """A slot is refused only while tools hold, or have lost, all other tokens."""
        if hasattr(self, "pool"):
            with self.lock:
                self.dispatch()  # the thread that a token wakes may not have run yet
                scripts = self.scripts()
                if not scripts:
                    self.lost = False
                if len(self.pool):
                    assert self.pool.busy > 0
                    taken = sum(len(tool.tokens) for _, tool in scripts)
                    assert self.lost or self.pool.busy + taken == self.jobs

    def teardown(self):
        with self.lock:
            for admission, _ in self.scripts():
                admission.close()
        self.closing.close()


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class Refusals(SchedulerObserver):
    """Keeps which nodes were refused a slot, and why."""

    def __init__(self):
        self.rows = []

    def slot_refused(self, node, reason):
        self.rows.append((node.name, reason))


class Work:
    """Nodes that wait for a while, without a slot of work, and then run a script.

    Its tool starts jobs, and maybe dies with its tokens.
    """

    last_phase = 1

    def __init__(self, work, transfer, jobserver, seed, deaths):
        self.work_pool, self.transfer_pool, self.jobserver = work, transfer, jobserver
        self.deaths = deaths
        self.seed = seed
        self.lock = threading.Lock()
        self.at_work = self.peak = 0

    def pool(self, node, phase):
        return self.work_pool if phase else self.transfer_pool

    def skips(self, node, phase):
        return False

    def run(self, node, phase):
        dice = random.Random(f"{self.seed} {node.name} {phase}")
        if phase == 0:
            with released():
                time.sleep(dice.random() * 0.01)
            return
        with self.jobserver.admission() as admission, released():
            tool = Tool(admission)
            self.count(1)
            for _ in range(dice.randrange(12)):
                before = len(tool.tokens)
                tool.take(by_name=dice.random() < 0.5)
                self.count(len(tool.tokens) - before)
                time.sleep(dice.choice([0, 0, 0.0005]))
                if tool.tokens and dice.random() < 0.5:
                    self.count(-1)
                    tool.give_back(1)
            self.count(-1 - len(tool.tokens))
            if dice.random() >= self.deaths:
                tool.give_back()

    def count(self, change):
        with self.lock:
            self.at_work += change
            self.peak = max(self.peak, self.at_work)

    def rest(self, node):
        pass

    def failed(self, node, phase, error):
        return error


def run_all(folder, *, jobs, nodes, seed, deaths=0.0):
    coordinator = Coordinator(observer=Refusals())
    jobserver = Jobserver(jobs=jobs, folder=folder, name=f"{jobs}-{nodes}-{seed}-{deaths}")
    work = coordinator.new_pool("work", jobs, budget=jobserver)
    kind = Work(work, coordinator.new_pool("transfer", 4), jobserver, seed, deaths)
    made = [Coordination(f"n{number}", kind, None) for number in range(nodes)]
    with coordinator.interpreter.running():
        for node in made:
            coordinator.add(node)
            coordinator.raise_target(node, 1)
        coordinator.wait(made, 1)
        coordinator.wait_until_idle()
    jobserver.close()
    assert [node.failure for node in made] == [None] * nodes
    return coordinator, kind


@settings(max_examples=25, deadline=None)
@given(
    jobs=st.integers(1, 8),
    nodes=st.integers(1, 40),
    seed=st.integers(0, 1 << 30),
    deaths=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_with_real_threads_no_more_jobs_than_there_are(tmp_path_factory, jobs, nodes, seed, deaths):
    """All nodes complete and --jobs is never exceeded, whatever tools take and lose."""
    folder = tmp_path_factory.mktemp("fifos")
    coordinator, kind = run_all(folder, jobs=jobs, nodes=nodes, seed=seed, deaths=deaths)
    assert kind.peak <= jobs
    assert coordinator.peak_threads <= jobs + 5
    assert list(folder.iterdir()) == []


class Held(Work):
    """The tool of one node holds a token until a signal, and runs until another."""

    last_phase = 0

    def __init__(self, pool, jobserver):
        super().__init__(pool, pool, jobserver, 0, 0.0)
        self.holds, self.may_return, self.may_end = (threading.Event() for _ in range(3))

    def run(self, node, phase):
        if node.name != "holder":
            return
        with self.jobserver.admission() as admission, released():
            tool = Tool(admission)
            tool.take(by_name=True)
            self.holds.set()
            self.may_return.wait(300)
            tool.give_back()
            self.may_end.wait(300)


def test_a_refused_node_is_granted_a_slot_when_a_token_is_returned(tmp_path):
    """The refusal is reported once, and the node runs before the script that had the token ends."""
    refusals = Refusals()
    coordinator = Coordinator(observer=refusals)
    jobserver = Jobserver(jobs=2, folder=tmp_path, name="it")
    kind = Held(coordinator.new_pool("work", 2, budget=jobserver), jobserver)
    holder, other = (Coordination(name, kind, None) for name in ("holder", "other"))
    coordinator.add(holder)
    coordinator.add(other)
    coordinator.raise_target(holder, 0)
    assert kind.holds.wait(300)
    coordinator.raise_target(other, 0)
    [(name, reason)] = refusals.rows
    assert (name, other.complete) == ("other", False)
    assert reason.startswith("1 of 2 jobs (--jobs) are in use by tools")
    kind.may_return.set()
    coordinator.wait([other], 0)
    assert not holder.complete
    kind.may_end.set()
    coordinator.wait([holder], 0)
    coordinator.wait_until_idle()
    jobserver.close()
    assert len(refusals.rows) == 1
