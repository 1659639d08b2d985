import contextlib
import dataclasses
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from bounded import outcome_of
from left_open import descriptors

from envy.environment import environment
from envy.errors import Cancelled, ScriptFailed
from envy.host import process
from envy.host.children import Children, watch_exit_by_thread
from envy.host.process import run_argv
from envy.host.process_table import is_alive
from envy.interpreter import InterpreterSlot
from envy.limits import adopt_limits

# Far more than anything here takes, far less than the sleeps that must not be waited for.
FAST = 300.0  # seconds; what must not be waited for takes 600


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(params=["descriptor", "thread"])
def children(request):
    return Children(watch_exit=watch_exit_by_thread if request.param == "thread" else None)


def run(children, *argv, cwd=Path("/"), **rest):
    rest.setdefault("environment", environment())
    rest.setdefault("capture", True)
    return run_argv([str(word) for word in argv], cwd=cwd, children=children, **rest)


def sh(children, script, **rest):
    return run(children, "sh", "-c", script, **rest)


def python(children, script, **rest):
    return run(children, sys.executable, "-c", script, **rest)


def spec_of(children, script, **rest):
    """Return what runs a script of sh with details that `run_argv` does not have."""
    return process.ProcessSpec(
        argv=["sh", "-c", script],
        command=script,
        cwd=Path("/"),
        environment=environment(),
        children=children,
        **rest,
    )


def timed_out(children, script, *, grace=FAST):
    """Run a script whose time is over when it has written something; return how it ended."""
    written = []
    return process.run(
        spec_of(
            children,
            script,
            capture=True,
            on_output=lambda *output: written.append(output),
            moving_deadline=lambda: time.monotonic() if written else None,
            grace=grace,
        )
    )


def wait_dead(pid: int) -> None:
    """Wait until a process that is not a child of the test has ended; a kill takes a moment."""
    deadline = time.monotonic() + FAST
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        os.sched_yield()


def test_the_output_and_exit_code_are_reported(children):
    """Both streams are captured separately, and a non-zero exit code is not an error."""
    completed = sh(children, "echo out; echo err >&2; exit 3")
    assert (completed.exit_code, completed.signal) == (3, None)
    assert (completed.stdout, completed.stderr) == (b"out\n", b"err\n")


def test_a_signal_is_reported(children):
    """The signal that ended a child is reported, with the exit code that shells use for it."""
    completed = sh(children, "kill -9 $$")
    assert (completed.exit_code, completed.signal) == (137, signal.SIGKILL)


def test_output_is_passed_on_as_it_is_written(children):
    """Chunks arrive while the child still runs."""
    answer_path, seen = os.pipe(), []

    def on_output(stream, chunk):
        seen.append((stream, chunk))
        os.write(answer_path[1], b"go\n")

    script = f"echo first; read line < /proc/{os.getpid()}/fd/{answer_path[0]}; echo $line >&2"
    sh(children, script, on_output=on_output, capture=False)
    assert seen == [("stdout", b"first\n"), ("stderr", b"go\n")]


def test_output_is_kept_only_when_captured(children):
    """Without capture, output goes only to the listener."""
    seen = []
    completed = sh(
        children, "echo out", capture=False, on_output=lambda *output: seen.append(output)
    )
    assert completed.stdout == b""
    assert seen == [("stdout", b"out\n")]


def test_ten_megabytes_of_binary_on_one_line_arrive_unchanged(children):
    """Output is bytes; neither its encoding nor its lines matter."""
    script = "import os; [os.write(1, bytes(range(256)) * 256) for _ in range(160)]"
    assert python(children, script).stdout == bytes(range(256)) * 256 * 160


def test_captured_output_is_bounded(children):
    """A command that prints more than the limit is ended, and the error names the limit."""
    kind, text = outcome_of(run, Children(), "cat", "/dev/zero", memory=300 << 20)
    assert kind == "error", text
    assert "was ended, because it printed more than 64 MiB, the limit captured-output: cat" in text
    assert "ENVY_LIMITS=captured-output=128M" in text
    adopt_limits({"captured-output": 100})
    try:
        with pytest.raises(ScriptFailed, match="more than 100 bytes"):
            sh(children, "sleep 600 & head -c 101 /dev/zero; wait")
    finally:
        adopt_limits({})


def test_output_that_is_not_captured_takes_no_memory(children):
    """A hundred megabytes pass through without being kept."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0

    def on_output(_, chunk):
        nonlocal count
        count += len(chunk)

    run(children, "head", "-c", 100_000_000, "/dev/zero", on_output=on_output, capture=False)
    assert count == 100_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_standard_input_is_empty(children):
    """A child that reads finds the end at once."""
    assert run(children, "cat").stdout == b""


def test_the_environment_is_exactly_what_was_given(children):
    """Nothing of envy's own environment is inherited."""
    completed = run(children, "env", environment={"PATH": os.defpath, "A": "b\udcff"})
    assert sorted(completed.stdout.split(b"\n")) == sorted(
        [b"", b"A=b\xff", f"PATH={os.defpath}".encode()]
    )


def test_the_program_is_found_on_the_given_path(children, tmp_path):
    """The PATH of the child's environment counts, not envy's."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert run(children, "tool", environment={"PATH": str(tmp_path)}).stdout == b"found\n"


def test_a_child_inherits_no_descriptor(children, tmp_path):
    """Not even a descriptor that is marked as inheritable reaches a child."""
    with (tmp_path / "file").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        script = "import os; print(os.listdir('/proc/self/fd'))"
        # The fourth is that of the listing itself.
        assert python(children, script).stdout == b"['0', '1', '2', '3']\n"


def test_a_child_inherits_the_listed_descriptors(children, tmp_path):
    """They have the same numbers in the child, and are closed in other children."""
    with (tmp_path / "file").open("w") as file:
        number = file.fileno()
        script = f"import os; os.write({number}, b'inherited')"
        assert python(children, script, descriptors=(number,)).exit_code == 0
        assert not os.get_inheritable(number)
    assert (tmp_path / "file").read_text() == "inherited"


def test_no_descriptor_is_left_open(children, tmp_path):
    """Runs that succeed, fail or cannot start do not change the number of open files."""

    def boom(*_):
        raise ZeroDivisionError

    sh(children, "true")
    before = descriptors()
    sh(children, "exit 1")
    with pytest.raises(ScriptFailed):
        run(children, tmp_path / "missing")
    with pytest.raises(ZeroDivisionError):
        sh(children, "echo; sleep 600", on_output=boom)
    assert descriptors() <= before


def test_a_child_has_its_own_group_and_session_without_a_terminal(children):
    """Signals of the terminal do not reach a child, and a child cannot ask on the terminal."""
    script = (
        "import os\nprint(os.getpid() == os.getpgid(0) == os.getsid(0))\n"
        "try: open('/dev/tty')\nexcept OSError: print('no terminal')"
    )
    assert python(children, script).stdout == b"True\nno terminal\n"


def test_processes_left_in_the_group_are_killed(children):
    """A background process does not outlive the script, and is not waited for."""
    started = time.monotonic()
    completed = sh(children, "sleep 600 & echo $!")
    assert time.monotonic() - started < FAST
    wait_dead(int(completed.stdout))


def test_processes_left_without_the_pipes_are_killed_too(children):
    """A background process that writes elsewhere is killed like any other."""
    completed = sh(children, "sleep 600 >/dev/null 2>&1 & echo $!")
    wait_dead(int(completed.stdout))


def test_a_process_that_left_the_group_and_holds_the_pipes_is_not_waited_for(children, tmp_path):
    """A daemon with its own session cannot hang envy, and what it wrote until then is kept."""
    os.mkfifo(tmp_path / "said")
    started = time.monotonic()
    completed = sh(
        children,
        "setsid sh -c 'echo daemon $$; echo > said; exec sleep 600' & read line < said; echo main",
        cwd=tmp_path,
    )
    assert time.monotonic() - started < FAST
    lines = completed.stdout.split(b"\n")
    assert b"main" in lines
    os.kill(next(int(line.split()[1]) for line in lines if line.startswith(b"daemon")), 9)


def test_a_process_that_left_the_group_and_writes_forever_is_not_waited_for(children):
    """A flood from a process that escaped ends with the main child."""
    started = time.monotonic()
    completed = sh(
        children,
        "setsid yes & echo pid $! >&2; sleep 0.05",
        capture=False,
        on_output=lambda *_: None,
    )
    assert completed.exit_code == 0
    assert time.monotonic() - started < FAST


def test_output_of_a_pipeline_that_outlives_the_shell_is_read(children, tmp_path):
    """A process that still has output after the main child's end gets a moment to write it."""
    script = "exec > >(echo > ready; read line; echo $line); read x < ready; echo late"
    spec = spec_of(children, "", capture=True, longest_tail=FAST)
    bash = ["bash", "-c", f"mkfifo ready; {script}"]
    completed = process.run(dataclasses.replace(spec, argv=bash, cwd=tmp_path))
    assert completed.stdout == b"late\n"


@needs_proc
@pytest.mark.parametrize(
    ("work", "longest", "output"),
    [
        ("n=0; while [ $n -lt 400000 ]; do n=$((n + 1)); done; echo late", FAST, b"late\n"),
        ("while :; do :; done", 0.1, b""),
    ],
    ids=["half-a-second", "forever"],
)
def test_a_process_that_works_is_listened_to(children, work, longest, output):
    """It may have output; what only sleeps is not waited for, nor what works for too long."""
    spec = spec_of(children, f"({work}) &", capture=True, longest_tail=longest)
    assert process.run(spec).stdout == output


def test_a_child_that_closed_its_output_is_still_waited_for(children, tmp_path):
    """The end of the output is not the end of the child."""
    completed = sh(children, f"exec >&- 2>&-; sleep 0.05; echo x > {tmp_path}/done; exit 4")
    assert completed.exit_code == 4
    assert (tmp_path / "done").exists()


def test_a_timeout_ends_the_whole_group(children):
    """After the timeout the whole group is ended, and `timed_out` is set."""
    assert sh(children, "sleep 600", timeout=0.1).timed_out
    completed = timed_out(children, "sleep 600 & echo $!; wait")
    assert completed.timed_out
    assert completed.signal == signal.SIGTERM
    wait_dead(int(completed.stdout))


def test_a_timeout_kills_a_child_that_ignores_the_request(children):
    """A child that ignores the request to end is killed, even while it floods its output."""
    completed = timed_out(children, "trap '' TERM; while :; do echo x; done", grace=0.2)
    assert (completed.timed_out, completed.signal) == (True, signal.SIGKILL)


def test_a_timeout_lets_the_group_clean_up(children, tmp_path):
    """A child that catches the request to end may finish its work."""
    script = (
        f"trap 'echo clean > {tmp_path}/trace; exit 9' TERM; echo; while :; do sleep 0.01; done"
    )
    completed = timed_out(children, script)
    assert completed.exit_code == 9
    assert (tmp_path / "trace").exists()


def test_a_child_in_time_is_not_timed_out(children):
    """A timeout that is not reached has no effect."""
    assert not sh(children, "true", timeout=300).timed_out


def test_an_error_in_the_listener_ends_the_child(children):
    """An exception of the listener is raised to the caller, and the child has ended."""
    pids = []

    def on_output(_, chunk):
        pids.append(int(chunk))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sh(children, "echo $$; sleep 600", on_output=on_output)
    assert not is_alive(pids[0])
    assert children.running() == []


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (["no-such-program"], 127, "no program 'no-such-program' on PATH"),
        (["./missing"], 127, "no file ./missing"),
        (["./plain"], 126, "chmod"),
        (["./no-interpreter"], 126, "interpreter or loader"),
        (["./no-format"], 126, "not a program for this machine"),
        (["echo", "x" * 4_000_000], 126, "too long"),
        (["echo", "\0"], 126, "null byte"),
        ([], 126, "the command is empty"),
    ],
)
def test_a_failed_start_says_why(tmp_path, argv, code, text):
    """The error names the reason; exit code 127 means that the program is missing."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "no-interpreter").write_text("#!/no/such/interpreter\n")
    (tmp_path / "no-format").write_text("echo\n")
    (tmp_path / "no-interpreter").chmod(0o755)
    (tmp_path / "no-format").chmod(0o755)
    with pytest.raises(ScriptFailed, match=text) as caught:
        run(Children(), *argv, cwd=tmp_path)
    assert caught.value.exit_code_of_script == code


def test_a_missing_directory_is_distinguished_from_a_missing_program(tmp_path):
    """When the working directory is missing, the error names the directory."""
    with pytest.raises(ScriptFailed, match=f"no directory {tmp_path}/gone"):
        run(Children(), "true", cwd=tmp_path / "gone")


def test_a_program_just_written_can_be_started_by_many_threads(children, tmp_path):
    """No start fails because a half-started sibling still has the file open for writing."""
    failures = []

    def work(number):
        for turn in range(15):
            tool = tmp_path / f"tool-{number}-{turn}"
            tool.write_text("#!/bin/sh\nexit 7\n")
            tool.chmod(0o755)
            try:
                run(children, tool)
            except ScriptFailed as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs descriptors of processes")
def test_no_thread_is_needed_for_a_child():
    """Where the system has descriptors of processes, no other thread is started to wait."""
    before, during = {*threading.enumerate()}, []
    sh(Children(), "echo", on_output=lambda *_: during.extend(threading.enumerate()))
    assert {*during} <= before


def test_the_slot_is_free_while_waiting_for_a_child(children):
    """Another thread can run while this one waits for its child."""
    slot, other_had_it = InterpreterSlot(), threading.Event()
    started, pipe = threading.Event(), os.pipe()

    def compute():
        started.wait()
        with slot.running():
            other_had_it.set()
        os.write(pipe[1], b"\n")

    threading.Thread(target=compute, daemon=True).start()
    with slot.running():
        started.set()
        sh(children, f"read line < /proc/{os.getpid()}/fd/{pipe[0]}", timeout=FAST)
    assert other_had_it.is_set()


def test_the_slot_is_held_while_output_is_passed_on(children):
    """Listeners and hooks run Python code, so they hold the slot."""
    slot, free = InterpreterSlot(), []

    def note(*_):
        free.append(slot._lock._lock.acquire(blocking=False))

    hooked = children.hooked(on_start=note, on_end=note)
    with slot.running():
        sh(hooked, "echo", on_output=note)
    assert free == [False, False, False]


def test_running_children_are_reported(children):
    """While a child runs, the registry reports its label, command and times."""
    seen = []

    def on_output(*_):
        seen.extend(children.running())

    sh(children, "echo", label="local.a@r1: build", on_output=on_output)
    (child,) = seen
    assert (child.label, child.command) == ("local.a@r1: build", "sh -c echo")
    assert child.started <= child.last_output <= time.monotonic()
    assert children.running() == []


def test_the_hooks_are_called_for_each_group(children):
    """The hooks are called when a group starts, and after it has ended."""
    heard = []

    def on_end(group):
        heard.append(("end", group, is_alive(group)))

    hooked = children.hooked(on_start=lambda group: heard.append(("start", group)), on_end=on_end)
    pid = int(sh(hooked, "echo $$").stdout)
    assert heard == [("start", pid), ("end", pid, False)]


def test_a_hook_that_fails_leaves_no_child(children):
    """If a group cannot be recorded, its child is killed."""
    groups = []

    def on_start(group):
        groups.append(group)
        raise ZeroDivisionError

    hooked = children.hooked(on_start=on_start, on_end=lambda _: None)
    with pytest.raises(ZeroDivisionError):
        sh(hooked, "sleep 600")
    assert not is_alive(groups[0])


def test_an_interactive_child_has_the_terminal(tmp_path):
    """An interactive child shares envy's terminal, group and streams."""
    script = tmp_path / "interactive.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\n"
        "from envy.host.process import run_argv\nfrom envy.host.children import Children\n"
        "code = 'import os; print(input(), os.isatty(1), os.getpgid(0) == os.getpgid("
        'os.getppid()), open("/dev/tty").isatty())\'\n'
        "heard = []\n"
        "children = Children().hooked(on_start=heard.append, on_end=heard.append)\n"
        "completed = run_argv([sys.executable, '-c', code], cwd=Path('/'), children=children, "
        "environment=dict(os.environ), interactive=True, capture=True)\n"
        "assert completed.stdout == b'' and heard == []\n"
        "sys.exit(completed.exit_code)\n"
    )
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(Path(__file__).parents[2])
        os.environ["PYTHONPATH"] = "."
        os.execv(sys.executable, [sys.executable, str(script)])
    os.write(terminal, b"hello\n")
    written = b""
    with contextlib.suppress(OSError):  # it has ended
        while piece := os.read(terminal, 10_000):
            written += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"hello True True True" in written
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_discarded_exit_code_is_not_a_success(tmp_path):
    """When SIGCHLD is ignored, envy reports that it cannot know how its children ended."""
    script = tmp_path / "ignoring.py"
    script.write_text(
        "import os, signal\nfrom pathlib import Path\n"
        "from envy.host.process import run_argv\nfrom envy.host.children import Children\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "run_argv(['false'], cwd=Path('/'), environment=dict(os.environ), children=Children())\n"
    )
    result = subprocess.run(
        [sys.executable, script],
        env={**environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SIGCHLD" in result.stderr


def test_a_run_after_termination_is_refused(children):
    """No child starts after `terminate_all`."""
    children.terminate_all()
    with pytest.raises(Cancelled):
        sh(children, "true")


def test_events_have_a_pipe_of_their_own(children):
    """What a child writes to it is a stream beside its output, and is not captured."""
    ends = os.pipe()
    told = []
    script = f"import os; print('out'); os.write({ends[1]}, b'event'); os.write({ends[1]}, b'more')"
    done = process.run(
        process.ProcessSpec(
            argv=[sys.executable, "-c", script],
            command="python",
            cwd=Path("/"),
            environment=environment(),
            children=children,
            capture=True,
            on_output=lambda stream, chunk: told.append((stream, chunk)),
            event_pipe=ends,
        )
    )
    os.close(ends[0])
    assert done.stdout == b"out\n"
    assert b"".join(chunk for stream, chunk in told if stream == "events") == b"eventmore"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(ends[1])
