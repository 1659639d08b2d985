"""Problems of the machine: disks, permissions, terminals; and invalid command lines."""

import contextlib
import fcntl
import os
import pty
import resource
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from mistakes import assert_clean, fails, report_of
from project import Project, envy_command

WORKS = 'install = "echo > x"'


@pytest.fixture
def works(project):
    """A project that syncs on a working machine."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", WORKS)
    return project


def limited(which, amount):
    """Return a function that limits a resource of a process before it becomes envy."""
    return lambda: resource.setrlimit(which, (amount, amount))


def test_a_read_only_cache_root(works, unprivileged):
    """The error names what cannot be written, and how to use another cache."""
    works.cache.mkdir()
    works.cache.chmod(0o555)
    fails(
        works,
        f"cannot take a lock in the cache: {works.cache}/locks: Permission denied",
        "name another cache with --cache-root or ENVY_CACHE_ROOT",
        under=unprivileged,
    )


def test_a_read_only_cache_that_has_everything(works, unprivileged):
    """A complete cache can be used without write permission, since reading takes no lock."""
    works.envy("sync")
    for folder, _, _ in os.walk(works.cache):
        Path(folder).chmod(0o555)
    outcome = works.envy("sync", under=unprivileged)
    assert "1 cached" in outcome.err


@pytest.mark.parametrize(
    ("root", "reason", "remedy"),
    [
        (
            "/dev/null",
            "cannot take a lock in the cache: /dev/null/",
            "name a directory for the cache",
        ),
        (
            "/proc/self",
            "cannot take a lock in the cache: /proc/self/locks",
            "declared in envy.lua:2",
        ),
        ("/" + "a" * 300, "File name too long", "name a cache with a shorter path"),
    ],
)
def test_an_unusable_cache_root(works, root, reason, remedy):
    """The error has the path and the reason why it cannot be a cache."""
    fails(works, reason, remedy, words=("sync", "--cache-root", root))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount_point)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small tmpfs")
    yield mount_point
    subprocess.run(["umount", "-l", str(mount_point)], check=True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('install = "head -c 400000 /dev/zero > x"', "script exited 1: head -c 400000"),
        ('fetch = "../large"', "No space left on device"),
        ('install = "seq 100000; echo > x"', "cannot write a log: "),
    ],
    ids=["script", "download", "log"],
)
def test_a_full_disk(tmp_path, small_disk, body, reason):
    """The error says where the space ran out; with more space, the next sync succeeds."""
    project = Project(tmp_path / "project", cache=small_disk / "cache")
    project.packages("local.one@r1")
    project.write("large", b"x" * 400_000)
    project.recipe("local.one@r1", body)
    fails(project, reason, "No space left on device")
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    project.recipe("local.one@r1", WORKS)
    assert "1 installed" in project.envy("sync").err


def test_a_disk_that_is_full_from_the_start(tmp_path, small_disk):
    """If not even a lock can be written, the error says what to do."""
    project = Project(tmp_path / "project", cache=small_disk / "cache")
    project.packages("local.one@r1")
    project.recipe("local.one@r1", WORKS)
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    fails(project, "No space left on device", "free some space, or name another cache")


@pytest.mark.parametrize("amount", [0, 30, 200, 400, 600])
def test_a_limit_on_file_sizes(works, amount):
    """Writing may fail at any step of publishing; the next sync succeeds."""
    outcome = works.envy(
        "sync", code=None, preexec_fn=limited(resource.RLIMIT_FSIZE, amount), trace=False
    )
    if outcome.code:
        assert report_of(outcome.err).count("File too large") == 1
        assert_clean(works, outcome.err)
    assert "complete" in works.envy("sync").err


def test_few_files_may_be_open(project):
    """Thirty packages are installed with at most 64 open files."""
    names = [f"local.n{number}@r1" for number in range(30)]
    for name in names:
        project.recipe(name, WORKS)
    project.packages(*names)
    outcome = project.envy("sync", preexec_fn=limited(resource.RLIMIT_NOFILE, 64))
    assert "30 installed" in outcome.err


@pytest.mark.parametrize(
    ("words", "environment", "reason", "remedy"),
    [
        ("snyc", {}, "there is no command 'snyc'", 'did you mean "sync"?'),
        ("", {}, "Commands:", "sync"),
        ("sync --jbos 3", {}, "No such option", "--jobs"),
        ("sync --jobs 0", {}, "Invalid value for '-j' / '--jobs'", "0 is not in the range"),
        (
            "sync --jobs many",
            {},
            "Invalid value for '-j' / '--jobs'",
            "'many' is not a valid integer",
        ),
        ("sync --manifest", {}, "Option '--manifest' requires an argument", ""),
        ("sync --manifest=", {}, "--manifest is empty", "give --manifest a path, or leave it out"),
        ("sync --cache-root=", {}, "--cache-root is empty", "give --cache-root a path"),
        ("asset", {}, "Missing argument 'QUERY'", "Usage: envy asset"),
        ("run", {}, "Missing argument 'CMD", "Usage: envy run"),
        (
            "sync --trace=loud",
            {},
            "--trace=loud is not valid; use --trace=stderr, --trace=file:PATH",
            "",
        ),
        (
            "sync --trace=file:/nowhere/x",
            {},
            "cannot write the trace to /nowhere/x",
            "an existing, writable folder",
        ),
        (
            "sync",
            {"ENVY_YES": "maybe"},
            "ENVY_YES is 'maybe', which is neither yes nor no",
            "ENVY_YES=1",
        ),
        (
            "sync",
            {"ENVY_CACHE_ROOT": "here"},
            "ENVY_CACHE_ROOT is 'here', which is not an absolute path",
            "--cache-root here",
        ),
    ],
)
def test_invalid_command_lines(works, words, environment, reason, remedy):
    """An invalid command line exits with 2 before anything is read, and the error has a remedy."""
    outcome = works.envy(*words.split(), env=environment, code=2, trace=False)
    assert outcome.err.count(reason) == 1, outcome.err
    assert remedy in outcome.err
    assert outcome.out == ""
    assert_clean(works, outcome.err)


def test_a_missing_program(works):
    """For a missing program, `envy run` exits with 127, as a shell does."""
    outcome = works.envy("run", "no-such-program", code=127, trace=False)
    assert "there is no program 'no-such-program'" in outcome.err


def test_a_misspelt_product(works):
    """The error of `envy run` suggests the nearest product."""
    works.recipe(
        "local.one@r1",
        'install = "touch hammer; chmod +x hammer"\nproducts = { hammer = "hammer" }',
    )
    for _ in range(2):  # as a full run says it, and from a stored answer
        outcome = works.envy("run", "hamer", code=127, trace=False)
        assert "there is no program 'hamer' in the packages or on PATH; did you mean hammer?" in (
            outcome.err
        )


def in_shell(project, words):
    """Run a shell command in which `$ENVY` is envy."""
    environment = project.environment({"ENVY": envy_command()})
    return subprocess.run(
        ["bash", "-c", words],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-", ">&-", "<&- >&- 2>&-"])
def test_a_sync_needs_no_terminal(works, closed):
    """Closed or full standard streams do not fail a sync."""
    assert in_shell(works, f"$ENVY sync {closed}").returncode == 0
    assert works.markers() == ["local.one@r1"]


def test_an_answer_that_cannot_be_written(works):
    """If the path cannot be written, asset fails, so that scripts do not use an empty path."""
    ended = in_shell(works, "$ENVY asset one > /dev/full")
    assert ended.returncode == 1
    assert "error: cannot write to standard output: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_closed_pipe(works):
    """A closed pipe causes no traceback."""
    ended = in_shell(works, "$ENVY trace-schema | true; exit ${PIPESTATUS[0]}")
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_a_trace_on_a_full_disk_ends_and_the_run_goes_on(works):
    """A trace that cannot be written is one warning, and does not fail the run."""
    outcome = works.envy("sync", "--trace=file:/dev/full", trace=False)
    assert outcome.err.count("the trace /dev/full ends here: No space left on device") == 1


def at_terminal(project, once, keys):
    """Sync on a pseudo-terminal, type `keys` when a text appears; return (exit code, output)."""
    master, slave = pty.openpty()
    process = project.popen(
        "sync",
        env={"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    output, typed = b"", False
    with os.fdopen(master, "r+b", buffering=0) as terminal, contextlib.suppress(OSError):
        while piece := terminal.read(4096):
            output += piece
            if once in output and not typed:
                typed = True
                terminal.write(keys)
    return process.wait(timeout=300), output.decode()


@pytest.mark.parametrize(
    ("keys", "code", "answer"),
    [
        (b"\x03", 130, "[y/N] ^C\r\ncancelled\r\n"),
        (b"\x04", 1, "[y/N] \r\n"),
        (b"n\n", 1, "not installed, because you declined"),
    ],
    ids=["interrupt", "end of input", "no"],
)
def test_a_question_without_a_yes(project, keys, code, answer):
    """Without a yes nothing is installed, and an interrupt ends the run at once."""
    project.packages("local.machine@r1")
    project.recipe(
        "local.machine@r1", f'check = "test -e {project.root}/done"\ninstall = "touch done"'
    )
    ended, output = at_terminal(project, b"install them? [y/N] ", keys)
    assert (ended, answer in output) == (code, True), output
    assert not (project.root / "done").exists()
    assert_clean(project, output)
