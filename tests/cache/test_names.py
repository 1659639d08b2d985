"""The names of the cache: spelled once, and recognised by gc or known to be kept."""

import ast
import os
import re
import time
from pathlib import Path

import pytest

import envy
from envy.answers.evidence import Evidence
from envy.answers.write import basis_of, save_answer
from envy.cache import names
from envy.cache.collect import Rules, collect, collecting, forget_old_uses, plan
from envy.cache.durations import Durations, Measured, durations_path
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.leftovers import decide_leftovers, find_leftovers, remove_leftovers
from envy.cache.lock import FileLock
from envy.cache.resolutions import Resolutions, resolutions_path
from envy.cache.shims import script_folder
from envy.cache.tidy import tidy
from envy.cache.usage import DAY, RUN, UseSet, read_uses, record_use
from envy.cache.write import begin_attempt, publish, record_deploy
from envy.content.atomic import SUFFIX
from envy.jobserver.tokens import make_pipe
from envy.testing.results import LastRun, Recorder

KEY = "0123456789abcdef" + "f" * 48
OTHER = "f" * 64
IDENTITY = "local.tool@r1"
PACKAGE = Path(envy.__file__).parent

# What outlives a gc for good, and why that does no harm.
KEPT = {
    r"projects/[0-9a-f]{16}/[0-9a-f]{16}\.json": "the last whole sync of a project that exists",
    r"durations/[0-9a-f]{16}\.json": "a bounded number of files",
    r"resolutions/[0-9a-f]{16}\.json": "a small file for each project that exists",
    r"shims/[0-9a-f]{16}/tool": "a few links",
    r"locks/cache/(collect|leases)\.lock": "two empty files",
    r"jobservers/stamp": "in use; removed by its command, or the next one",
}


@pytest.fixture
def layout(tmp_path):
    return CacheLayout(tmp_path / "cache")


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_entries(layout):
    """A published entry with a deploy record, and an attempt that did not complete; with logs."""
    for key in (KEY, OTHER):
        entry = layout.entry(IDENTITY, "linux-x86_64", key)
        lock = FileLock(layout.lock_of(entry))
        lock.acquire()
        attempt = begin_attempt(entry, key)
        write(entry.asset_dir / "file")
        if key == KEY:
            publish(attempt, "{}")
            record_deploy(entry)
        lock.release()
        write(layout.log_dir(IDENTITY, key[: names.DIGITS], "stamp") / "install.log")
    return entry


def make_leftovers(layout, project):
    """Whatever else the code puts into a cache, finished and unfinished."""
    write(layout.log_dir("local.managed@r1", "2" * names.DIGITS, "stamp") / "install.log")
    for folder in ("1" * 16, f"{'1' * 16}-{'2' * 16}", "3" * 16 + SUFFIX):
        write(layout.recipes_dir("vendor.tool@r1", folder) / names.RECIPE_FILE)
    for path in (layout.lock_path("vendor.tool@r1", "1" * 16), layout.exclusive_lock_path("a b")):
        lock = FileLock(path)
        lock.acquire()
        lock.release()
    save_answer(layout.root, project / "gone.lua", Evidence(), recipes=[], roots=[], aliases={})
    (answer,) = layout.answers_root.iterdir()
    for suffix in (f"4711-01234567{SUFFIX}", "4711"):  # the second is of an earlier envy
        write(answer.with_name(f"{answer.name}.{suffix}"))
    (project / "envy.lua").touch()
    record_use(layout, UseSet(manifest=str(project / "envy.lua"), whole=True, entries={"a/b": RUN}))
    (record,) = layout.projects_root.glob("*/*")
    write(record.with_name(f"{record.name}.4711-01234567{SUFFIX}"))
    path = durations_path(str(layout.durations_root), str(project))
    Durations(path).learn([Measured(IDENTITY, KEY, [1.0])], [IDENTITY])
    for manifest in (project, project / "gone.lua"):
        path = resolutions_path(str(layout.resolutions_root), str(manifest))
        resolutions = Resolutions(path, str(manifest))
        resolutions.note(IDENTITY, "source", "commit")
        resolutions.store(settled=(), known=None)
    write(Path(f"{path}.4711-01234567{SUFFIX}"))
    script_folder(layout.root, {"tool": "exit 1"})
    tests = layout.root / names.TESTS_FOLDER
    write(tests / names.TEST_BINARIES_FOLDER / KEY[:2] / KEY / "tool.test")
    LastRun(tests / names.TEST_RESULTS_FOLDER, project).save(Recorder())
    write(layout.trash_root / "anything" / "file")
    for suffix in (names.RECORD, names.RECORD + SUFFIX, names.LOCK):
        write(layout.leases_root / f"4711-0123456789ab{suffix}")  # of a process that died


def run_gc(layout):
    """What `envy cache gc` does."""
    rules = Rules(now=time.time())
    with collecting(layout):
        uses = read_uses(layout)
        with gate(layout):
            leased = leased_names(layout)
        collect(layout, plan(take_inventory(layout), uses, leased, rules), uses)
        found = find_leftovers(layout, basis_of)
        unused_for = rules.unused_for
        remove_leftovers(
            layout, decide_leftovers(found, leased, unused_for=unused_for, now=rules.now)
        )
        forget_old_uses(uses, rules)
        tidy(layout, now=rules.now)


def files_of(layout):
    """Everything but folders, by its path below the root."""
    return {
        str((Path(folder) / name).relative_to(layout.root))
        for folder, _, found in os.walk(layout.root)
        for name in found
    }


def test_every_name_is_recognised_by_gc_or_known_to_be_kept(layout, tmp_path):
    """Forty days after their last use, a gc leaves nothing but files that are known to be kept."""
    make_entries(layout)
    make_leftovers(layout, tmp_path)
    pipe = make_pipe(layout.jobservers_root, "stamp")
    before = time.time() - 40 * DAY
    for path in layout.root.rglob("*"):
        os.utime(path, (before, before), follow_symlinks=False)
    run_gc(layout)
    left = files_of(layout)
    assert {path for path in left if not any(re.fullmatch(one, path) for one in KEPT)} == set()
    assert {one for one in KEPT if not any(re.fullmatch(one, path) for path in left)} == set()
    pipe.close()


def test_folders_of_the_root(layout, tmp_path):
    """A cache holds no folder but those that are named."""
    make_entries(layout)
    make_leftovers(layout, tmp_path)
    make_pipe(layout.jobservers_root, "stamp").close()
    known = {value for name, value in vars(names).items() if name.endswith("_FOLDER")}
    assert {path.name for path in layout.root.iterdir()} <= known


def test_names_that_are_composed_match_their_patterns(layout):
    """The pattern of a kind of name matches what the functions compose."""
    entry = layout.entry(IDENTITY, "linux-x86_64", KEY)
    lock = layout.lock_of(entry)
    assert re.fullmatch(names.ENTRY_PATTERN, entry.directory.name, re.ASCII)
    assert re.fullmatch(names.IDENTITY_PATTERN, entry.directory.parent.name, re.ASCII)
    assert names.short_key(entry.directory.name) == KEY[: names.DIGITS]
    assert re.fullmatch(names.LOCK_PATTERN, lock.name, re.ASCII)
    assert lock.name == names.lock_file(IDENTITY, KEY[: names.DIGITS])


def test_the_names_import_nothing():
    """A warm command pays for the names only."""
    tree = ast.parse((PACKAGE / "cache" / "names.py").read_text(encoding="utf-8"))
    assert [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == []


DISTINCTIVE = {
    names.MARKER,
    names.FINGERPRINT,
    names.INGREDIENTS,
    names.DEPLOYED,
    names.ASSETS_FOLDER,
    names.ANSWERS_FOLDER,
    names.DURATIONS_FOLDER,
    names.JOBSERVERS_FOLDER,
    names.TRASH_FOLDER,
    names.RECIPE_FILE,
}


def texts_of(path):
    """The parts of all paths that a module spells."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from node.value.split("/")


FIELDS_OF_OTHERS = {"npm_shrinkwrap.py": {"resolved"}}  # of formats that others have made


def test_names_are_spelled_once():
    """No other module spells a name that belongs to the cache alone."""
    others = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "cache" / "names.py"]
    spelled = {
        str(path): DISTINCTIVE.intersection(texts_of(path)) - FIELDS_OF_OTHERS.get(path.name, set())
        for path in others
    }
    assert {path: found for path, found in spelled.items() if found} == {}
