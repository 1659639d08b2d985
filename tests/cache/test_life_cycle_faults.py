"""The life of an entry with a fault at each step: an entry with a marker is complete.

An entry is built, deployed, moved to the trash, rebuilt, exported, imported into another cache,
relocated and discarded, and gc removes its leftovers. Every step that changes the file system is
made to fail with each error, or to be the last step of the process. Then everything is repeated,
and succeeds.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from blake3 import blake3
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

from envy.answers.write import basis_of
from envy.cache.collect import empty_trash, move_to_trash
from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record
from envy.cache.export_file import write_export_file
from envy.cache.export_import import import_export_file
from envy.cache.filesystem import REAL
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.leftovers import decide_leftovers, find_leftovers, remove_leftovers
from envy.cache.lock import FileLock
from envy.cache.read import deploy_recorded, lookup
from envy.cache.verify import verify
from envy.cache.write import begin_attempt, discard, prune_logs, publish, record_deploy
from envy.errors import EnvyError

INGREDIENTS = Ingredients(identity="local.gn@r0")
KEY = entry_key(INGREDIENTS)
KEPT = format_key_record(as_json(INGREDIENTS), {"key": "local.gn@r0", "relocate": ["bin/*"]})
DOWNLOAD = b"downloaded and verified"


@pytest.fixture
def tmp_path():
    """A folder in memory: these tests concern the order of steps, not the disk."""
    with memory_dir() as folder:
        yield Path(folder)


def entry_in(root):
    return CacheLayout(root).entry("local.gn@r0", "linux-x86_64", KEY)


def make(root, files):
    """Begin, download, build, publish and deploy, as the phases do."""
    entry = entry_in(root)
    if lookup(entry, KEY).hit:
        return
    attempt = begin_attempt(entry, KEY, files=files)
    (entry.fetch_dir / "download").write_bytes(DOWNLOAD)
    (entry.asset_dir / "bin").mkdir()
    (entry.asset_dir / "bin" / "gn").write_text(f"exec {entry.asset_dir}/lib/gn\n")
    (entry.asset_dir / "lib").symlink_to(entry.asset_dir / "bin")
    publish(attempt, KEPT)


def deploy(root, files):
    entry = entry_in(root)
    if not deploy_recorded(entry):
        record_deploy(entry, files=files)


def collect(root, files):
    layout, entry = CacheLayout(root), entry_in(root)
    if entry.directory.exists():
        move_to_trash(layout, entry, files=files)
    empty_trash(layout, files=files)


def import_foreign(root, files):
    """Import an entry that contains the path of another root."""
    exported = root.parent / "export.tar.zst"
    for imported in import_export_file(CacheLayout(root), exported, files=files):
        assert imported.problem == ""


def discard_entry(root, files):
    for number in range(7):
        (root / "logs" / f"{number}").mkdir(parents=True, exist_ok=True)
    prune_logs(root / "logs", files=files)
    discard(entry_in(root), files=files)


def forget(root, files):
    """Let gc remove unused recipe files, an answer and logs."""
    layout = CacheLayout(root)
    recipe = layout.recipes_dir("vendor.gn@r0", "0" * 16) / "recipe.lua"
    log = layout.log_dir("local.driver@r0", "0" * 16, "stamp") / "install.log"
    answer = layout.answers_root / f"{'0' * 16}.answer"
    for path in (recipe, log, answer):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        for aged in (path, path.parent, path.parent.parent):
            os.utime(aged, (1, 1))
    decisions = decide_leftovers(
        find_leftovers(layout, basis_of), set(), unused_for=0, now=time.time()
    )
    removed, failed = remove_leftovers(layout, decisions, files=files)
    if failed:
        raise failed[0]
    assert removed == decisions


LIFE = (make, deploy, collect, import_foreign, discard_entry, forget, make, collect)


def live_whole_life(root, files):
    for step in LIFE:
        step(root, files)


def prepare(folder):
    """An export file from another cache, and the root of an empty one."""
    exported = folder / "export.tar.zst"
    if not exported.exists():
        (folder / "other").mkdir()
        make(folder / "other", REAL)
        write_export_file(str(exported), [entry_in(folder / "other")], workers=0)
    return folder / "cache"


def check(root):
    """Entries with a marker are complete, to the byte; the downloads of the others exist."""
    for report in take_inventory(CacheLayout(root)).entries:
        hit = lookup(report.paths, KEY)
        assert report.complete == (hit.hit or hit.elsewhere)
        if report.complete:
            assert verify(report.paths) == []
        if hit.hit:
            text = (report.paths.asset_dir / "bin" / "gn").read_text()
            assert text == f"exec {report.paths.asset_dir}/lib/gn\n"
        download = report.paths.fetch_dir / "download"
        assert not download.exists() or download.read_bytes() == DOWNLOAD


def again(root):
    check(root)
    live_whole_life(root, REAL)
    check(root)
    assert take_inventory(CacheLayout(root)).entries == []
    assert list((root / "trash").iterdir()) == []
    assert find_leftovers(CacheLayout(root), basis_of) == []


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("shift", SHIFTS_OF_ERRORS)
def test_error_at_every_step_of_a_life(tmp_path, halfway, shift, record_property):
    """An error at any step is reported with its path, or ignored; the next run succeeds."""

    def run(step):
        number = in_turn(ERRORS, step, shift, 2 * halfway)

        def fail():
            raise OSError(number, os.strerror(number), "the path")

        root = prepare(tmp_path)
        files = FaultyFileSystem(step, fail, halfway=halfway)
        try:
            live_whole_life(root, files)
        except EnvyError as error:
            assert "the path" in str(error)  # noqa: PT017
        again(root)
        return files.met

    steps = every_step(run)
    assert {"make_dir", "write_file", "flush", "rename", "remove_tree", "set_mode"} <= set(steps)
    ways = 2 * len(SHIFTS_OF_ERRORS)
    record_property("shown", f"life of an entry: {len(steps)} steps, each failed in {ways} ways")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("shift", SHIFTS_OF_ENDS)
def test_crash_at_every_step_of_a_life(tmp_path, halfway, shift, record_property):
    """After a process ends at any step, the next one succeeds."""

    def run(step):
        how = in_turn(ENDS, step, shift, halfway)
        root = prepare(tmp_path)
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
                live_whole_life(root, files)
            finally:
                os._exit(0)
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            met = pipe.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == ((-signal.SIGKILL if how == "kill" else CRASHED) if met else 0)
        # A lock ends with its process, also that of the entry it was importing.
        lock = FileLock(CacheLayout(root).lock_of(entry_in(root)))
        assert lock.try_acquire()
        lock.release()
        again(root)
        return met

    steps = every_step(run)
    ways = 2 * len(SHIFTS_OF_ENDS)
    record_property(
        "shown", f"life of an entry: {len(steps)} steps, each crashed at in {ways} ways"
    )


def test_the_marker_key_is_that_of_the_ingredients():
    """The key is the digest of the record's first line."""
    assert blake3(KEPT.partition("\n")[0].encode()).hexdigest() == KEY
