"""Publishing with a fault at each step: no marker without its payload, and a retry succeeds.

Every step that changes the file system is made to fail with each error, or to be the last step of
the process, where the process ends before the step or in the middle of it.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fault_injection import (
    CRASHED,
    ENDS,
    ERRORS,
    SHIFTS_OF_ENDS,
    SHIFTS_OF_ERRORS,
    FaultyFileSystem,
    every_step,
    in_turn,
    memory_dir,
)

import envy
from envy.cache.entry_key import Ingredients, as_json
from envy.cache.filesystem import REAL, FileSystem
from envy.cache.layout import CacheLayout
from envy.cache.read import deploy_recorded, lookup
from envy.cache.write import begin_attempt, discard, publish, record_deploy
from envy.errors import CacheError

INGREDIENTS = as_json(Ingredients(identity="local.gn@r0"))
KEY = "0123456789abcdef" + "f" * 48
OLD_KEY = KEY[:16] + "0" * 48  # the same directory
PAYLOAD = {"bin/tool": "new tool", "lib/a": "a", "lib/b": "b", "readme": "new"}
OLD_PAYLOAD = {"bin/tool": "old tool", "old/file": "old"}


@pytest.fixture
def tmp_path():
    """A folder in memory; durability is tested below, by the order of steps."""
    with memory_dir() as folder:
        yield Path(folder)


def attempt_with(entry, key, payload, files=REAL):
    attempt = begin_attempt(entry, key, files=files)
    (entry.fetch_dir / "download").write_text("downloaded")
    for name, text in payload.items():
        path = entry.asset_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    publish(attempt, INGREDIENTS, forbidden={b"/build/gcc": "local.gcc@r1"})


def content_of(entry):
    files = (path for path in entry.asset_dir.rglob("*") if path.is_file())
    return {str(path.relative_to(entry.asset_dir)): path.read_text() for path in files}


def check(entry):
    """A marker implies a complete payload; without a marker, no download is lost."""
    old, new = lookup(entry, OLD_KEY).hit, lookup(entry, KEY).hit
    assert (old or new) == entry.marker.exists()
    if new or old:
        assert content_of(entry) == (PAYLOAD if new else OLD_PAYLOAD)
        assert entry.fingerprint.read_text().endswith("\n")
        assert entry.ingredients.read_text() == INGREDIENTS
    if not new:
        assert (entry.fetch_dir / "download").read_text() == "downloaded"
    assert deploy_recorded(entry) == old or not entry.marker.exists()


def prepared(root, state):
    """An entry that was never begun, that failed, or that is complete for another key."""
    entry = CacheLayout(root).entry("local.gn@r0", "linux-x86_64", KEY)
    if state == "complete":
        attempt_with(entry, OLD_KEY, OLD_PAYLOAD)
        record_deploy(entry)
    if state == "failed":
        begin_attempt(entry, KEY)
        (entry.asset_dir / "leftover").write_text("x")
        (entry.stage_dir / "leftover").write_text("x")
    entry.fetch_dir.mkdir(parents=True, exist_ok=True)
    (entry.fetch_dir / "download").write_text("downloaded")
    return entry


@pytest.mark.parametrize("state", ["none", "failed", "complete"])
@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("shift", SHIFTS_OF_ERRORS)
def test_error_at_every_step(tmp_path, state, halfway, shift, record_property):
    """An error at any step leaves no marker over a partial payload; the next attempt succeeds."""

    def run(step):
        number = in_turn(ERRORS, step, shift, 2 * halfway)

        def fail():
            raise OSError(number, os.strerror(number), "the path")

        entry = prepared(tmp_path / str(step), state)
        files = FaultyFileSystem(step, fail, halfway=halfway)
        told = []
        try:
            attempt_with(entry, KEY, PAYLOAD, files)
        except CacheError as error:
            told.append(error)
        # If only the removal of leftovers failed, the entry is published nonetheless.
        assert told or lookup(entry, KEY).hit
        assert all(files.met and "the path" in str(error) and error.hint for error in told)
        check(entry)
        attempt_with(entry, KEY, PAYLOAD)
        assert lookup(entry, KEY).hit
        check(entry)
        return files.met

    steps = every_step(run)
    ways = 2 * len(SHIFTS_OF_ERRORS)
    record_property(
        "shown", f"publishing ({state}): {len(steps)} steps, each failed in {ways} ways"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("state", ["none", "failed", "complete"])
@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("shift", SHIFTS_OF_ENDS)
def test_crash_at_every_step(tmp_path, state, halfway, shift, record_property):
    """A process that ends at any step leaves no marker over a partial payload."""

    def run(step):
        how = in_turn(ENDS, step, shift, halfway)
        entry = prepared(tmp_path / str(step), state)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:

            def crash():
                os.write(tell, files.met.encode())
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                os._exit(CRASHED)

            files = FaultyFileSystem(step, crash, halfway=halfway)
            try:
                attempt_with(entry, KEY, PAYLOAD, files)
            finally:
                os._exit(0 if lookup(entry, KEY).hit else 1)
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            met = pipe.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == ((-signal.SIGKILL if how == "kill" else CRASHED) if met else 0)
        check(entry)
        attempt_with(entry, KEY, PAYLOAD)
        assert lookup(entry, KEY).hit
        check(entry)
        return met

    steps = every_step(run)
    ways = 2 * len(SHIFTS_OF_ENDS)
    record_property(
        "shown", f"publishing ({state}): {len(steps)} steps, each crashed at in {ways} ways"
    )


@pytest.mark.parametrize("halfway", [False, True])
def test_error_at_every_step_of_discard(tmp_path, halfway):
    """An entry whose removal was interrupted has no marker."""

    def fail():
        raise OSError(errno.EIO, os.strerror(errno.EIO), "the path")

    step, met = 0, True
    while met:
        step += 1
        entry = prepared(tmp_path / str(step), "complete")
        files = FaultyFileSystem(step, fail, halfway=halfway)
        with contextlib.suppress(CacheError):
            discard(entry, files=files)
        met = files.met
        assert lookup(entry, OLD_KEY).hit == entry.marker.exists()
        if entry.marker.exists():
            assert content_of(entry) == OLD_PAYLOAD
        discard(entry)
        assert not entry.directory.exists()
    assert step > 4


class RecordingFileSystem(FileSystem):
    """The real file system, which records what was flushed, renamed and removed, in order."""

    def __init__(self):
        self.steps = []

    def flush(self, paths):
        self.steps += [("flush", path) for path in paths]
        super().flush(paths)

    def flush_dirs(self, paths):
        self.steps += [("flush", path) for path in paths]
        super().flush_dirs(paths)

    def rename(self, source, target):
        self.steps.append(("rename", target))
        super().rename(source, target)

    def remove(self, path):
        self.steps.append(("remove", path))
        return super().remove(path)

    def remove_tree(self, path):
        self.steps.append(("remove", path))
        super().remove_tree(path)

    def remove_empty_dir(self, path):
        removed = super().remove_empty_dir(path)
        if removed:
            self.steps.append(("remove", path))
        return removed

    def write_flushed(self, texts):
        super().write_flushed(texts)
        self.steps += [("flush", path) for path in texts]


def test_order_of_publishing(tmp_path):
    """The payload is flushed, then the marker is renamed and flushed, then fetch is removed."""
    entry = prepared(tmp_path, "none")
    files = RecordingFileSystem()
    attempt_with(entry, KEY, PAYLOAD, files)
    steps = files.steps
    renamed = steps.index(("rename", str(entry.marker)))
    flushed = {path for what, path in steps[:renamed] if what == "flush"}
    assert {str(path) for path in [entry.asset_dir, *entry.asset_dir.rglob("*")]} <= flushed
    assert {str(entry.ingredients), str(entry.fingerprint), f"{entry.marker}.new"} <= flushed
    assert {str(entry.directory), *map(str, list(entry.directory.parents)[:2])} <= flushed
    assert steps[renamed + 1] == ("flush", str(entry.directory))
    assert steps.index(("remove", str(entry.fetch_dir))) > renamed + 1


def test_order_of_starting_over(tmp_path):
    """The removal of the marker is on the disk before any part of the payload is removed."""
    entry = prepared(tmp_path, "complete")
    files = RecordingFileSystem()
    begin_attempt(entry, KEY, files=files)
    assert files.steps[:2] == [("remove", str(entry.marker)), ("flush", str(entry.directory))]
    assert ("remove", str(entry.asset_dir)) in files.steps


def test_killed_at_any_time(tmp_path):
    """Entries with a marker are complete after their process is killed."""
    program = """if True:
        import sys
        from pathlib import Path
        from envy.cache.layout import CacheLayout
        from envy.cache.write import begin_attempt, publish
        for number in range(100_000):
            key = f"{number:016x}" + "0" * 48
            entry = CacheLayout(Path(sys.argv[1])).entry("local.gn@r0", "linux-x86_64", key)
            attempt = begin_attempt(entry, key)
            for name in "abc":
                (entry.asset_dir / name).write_text(name * 10_000)
            publish(attempt, "{}")
            print(number, flush=True)
        """
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=str(Path(envy.__file__).parents[1]),
    )
    with child:
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    layout, whole = CacheLayout(tmp_path), 0
    for number in range(100_000):
        key = f"{number:016x}" + "0" * 48
        entry = layout.entry("local.gn@r0", "linux-x86_64", key)
        if not entry.directory.exists():
            break
        if lookup(entry, key).hit:
            whole += 1
            assert content_of(entry) == {name: name * 10_000 for name in "abc"}
    assert whole >= 20
