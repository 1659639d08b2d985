"""`envy cache`, `cache verify`, `cache gc`: what its owner sees of the cache, and does about it."""

import json
import os
import re
import time
from pathlib import Path

import pytest

LONG_AGO = time.time() - 40 * 86400
HELLO = 'install = "mkdir bin; echo hello > bin/hello; echo small > small"'


@pytest.fixture
def hello(project):
    """A project with one package, installed; its folder."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", HELLO)
    project.envy("sync")
    return Path(project.envy("asset", "hello").out.strip())


def age(project, at=LONG_AGO):
    """Let everything have been made and used at this time."""
    for pattern in ("projects/*/*.json", "assets/*/*/*", "assets/*/*"):
        for path in project.cache.glob(pattern):
            os.utime(path, (at, at))


def test_list_is_largest_first(project, hello):
    """Each entry has its size, when it was used and its key; the largest is first."""
    project.packages("local.hello@r1", "local.large@r1")
    project.recipe("local.large@r1", 'install = "head -c 3000000 /dev/zero > large"')
    project.envy("sync")
    rows = project.envy("cache").out.splitlines()
    assert "2.9 MiB" in rows[0]
    assert rows[0].endswith("local.large@r1")
    assert rows[1].endswith("local.hello@r1")
    assert f"in 2 entries of {project.cache}" in rows[2]
    assert "other files: " in rows[3]
    assert "resolved " in rows[3]


def test_list_as_json(project, hello):
    """The JSON has root, sizes, times, and the projects that use an entry."""
    listing = json.loads(project.envy("cache", "--json").out)
    (entry,) = listing["entries"]
    assert listing["root"] == str(project.cache)
    assert listing["size"] == entry["size"] > 0
    assert listing["rest"].keys() == {"recipes", "logs", "resolved", "trash"}
    assert listing["rest"]["resolved"] > 0
    assert entry["key"] == "local.hello@r1"
    assert entry["complete"] is True
    assert entry["projects"] == [str(project.root)]
    assert entry["path"] == str(hello.parent)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["last_used"])


def test_list_of_no_cache(project):
    """A cache that is not there yet is empty, and is not made by looking."""
    assert "in 0 entries" in project.envy("cache").out
    assert not project.cache.exists()


def test_published_files_are_read_only(hello):
    """Nothing of a package may be written, and nothing added, by its mode."""
    paths = [hello, hello / "bin", hello / "bin" / "hello", hello / "small"]
    assert [path.stat().st_mode & 0o222 for path in paths] == [0, 0, 0, 0]


def test_writable_package(project):
    """A recipe that says `writable` keeps its modes, and may grow."""
    project.packages("local.grows@r1")
    project.recipe("local.grows@r1", 'writable = true\ninstall = "echo x > x"')
    project.envy("sync")
    folder = Path(project.envy("asset", "grows").out.strip())
    assert (folder / "x").stat().st_mode & 0o200
    (folder / "added").write_text("by the tool itself")
    assert "0 damaged" in project.envy("cache", "verify").out


def test_copy_of_a_published_file_can_be_changed(project):
    """What ctx.copy takes out of another package is the recipe's to write to."""
    project.packages("local.user@r1")
    project.recipe("local.base@r1", 'install = "mkdir d; echo old > d/f"')
    project.recipe(
        "local.user@r1",
        'dependencies = { { recipe = "local.base@r1", source = "local.base@r1.lua" } }\n'
        'install = function(ctx) ctx.copy(ctx.asset("base") .. "/d", "d")\n'
        'ctx.run("test -w d && test -w d/f && ls -ld d d/f | grep -v ^.r-x && echo new > d/f") end',
    )
    project.envy("sync")


def damage(folder):
    folder.chmod(0o755)
    (folder / "small").chmod(0o644)
    (folder / "small").write_text("SMALL\n")
    (folder / "small").chmod(0o444)
    (folder / "bin").chmod(0o755)
    (folder / "bin" / "hello").unlink()
    (folder / "bin" / "extra").write_text("x")
    (folder / "bin").chmod(0o555)
    folder.chmod(0o555)


def test_verify_finds_damage(project, hello):
    """Changed, missing and extra files are named, and the exit code is 1."""
    assert "verified 1 package: 0 damaged" in project.envy("cache", "verify").out
    damage(hello)
    told = project.envy("cache", "verify", "hello", code=1).out
    assert "local.hello@r1: small: changed: its content is another" in told
    assert "local.hello@r1: bin/hello: is missing" in told
    assert "local.hello@r1: bin/extra: was not published (extra)" in told
    assert "1 damaged" in told


def test_verify_tells_all_that_is_wrong_with_a_file(project, hello):
    """A file that may be written to again is told to be another, too."""
    (hello / "small").chmod(0o644)
    (hello / "small").write_text("smaller")
    told = project.envy("cache", "verify", code=1).out
    assert "small: changed: it had 6 bytes and has 7; its mode was 444 and is 644" in told


def test_verify_repairs(project, hello):
    """A repaired package of the project is rebuilt with its original content."""
    damage(hello)
    told = project.envy("cache", "verify", "--repair").out
    assert "local.hello@r1: rebuilt" in told
    assert (hello / "small").read_text() == "small\n"
    assert "0 damaged" in project.envy("cache", "verify").out


def test_verify_repairs_outside_of_a_project(project, hello, tmp_path):
    """Without a manifest the damaged package is removed, and the next sync makes it."""
    damage(hello)
    told = project.envy("cache", "verify", "--repair", cwd=tmp_path).out
    assert "the next sync that needs it rebuilds it" in told
    assert not hello.exists()
    assert "1 installed" in project.envy("sync").err


def test_verify_of_an_unknown_package(project, hello):
    """A query that no entry answers is an error."""
    assert (
        "no package answers to 'nothing'" in project.envy("cache", "verify", "nothing", code=1).err
    )


def test_marker_without_asset(project, hello):
    """An entry whose asset somebody removed is a miss that says so, and is made again."""
    aside = hello.parent / "aside"
    hello.rename(aside)
    run = project.envy("sync", "-v")
    assert "its marker is there, but" in run.err
    assert "1 installed" in run.err


def test_gc_spares_what_was_used_within_a_day(project, hello):
    """A fresh cache is left as it is, whatever is asked for."""
    told = project.envy("cache", "gc", "--unused-for", "0m", "--max-size", "0").out
    assert "freed 0 B (0 bytes, 0 entries)" in told
    assert hello.exists()


def test_gc_removes_what_no_project_uses(project, hello):
    """What was not used for thirty days goes, with its reason and its size."""
    size = json.loads(project.envy("cache", "--json").out)["size"]
    age(project)
    dry = project.envy("cache", "gc", "--dry-run").out
    assert f"({size} bytes, 1 entry)" in dry
    assert hello.exists()
    told = project.envy("cache", "gc").out
    assert "local.hello@r1: not used for 40 days" in told
    assert f"({size} bytes, 1 entry); 0 B left in 0" in told
    assert project.entries() == []
    assert list((project.cache / "trash").iterdir()) == []
    assert "1 installed" in project.envy("sync").err


@pytest.mark.parametrize("words", [("sync",), ("asset", "hello"), ("run", "true")])
def test_gc_goes_by_use_not_by_age(project, hello, words):
    """An old entry that a command used again stays, though that command was a warm one."""
    project.envy("sync", trace=False)
    age(project)
    project.envy(*words, trace=False)
    assert "0 entries" in project.envy("cache", "gc").out
    assert hello.exists()


def test_gc_of_no_cache(project):
    """A cache that is not there is tidy, and is not made by tidying up."""
    assert "freed 0 B (0 bytes, 0 entries)" in project.envy("cache", "gc").out
    assert "would free 0 B" in project.envy("cache", "gc", "--dry-run").out
    assert not project.cache.exists()


def test_gc_down_to_a_size(project, hello):
    """The oldest use goes first, and what a project needs to run never does."""
    project.packages("local.hello@r1", "local.other@r1")
    project.recipe("local.other@r1", 'install = "echo other > other"')
    project.envy("sync")
    age(project, time.time() - 10 * 86400)
    for record in project.cache.glob("projects/*/*.json"):
        record.unlink()
    os.utime(hello.parent / "envy-complete", (LONG_AGO + 86400 * 15, LONG_AGO + 86400 * 15))
    told = project.envy("cache", "gc", "--max-size", "1200").out
    assert "local.hello@r1: made 25 days ago, and the cache is to be smaller" in told
    assert project.markers() == ["local.other@r1"]
    project.envy("sync", "other")
    age(project, time.time() - 10 * 86400)
    assert "0 entries" in project.envy("cache", "gc", "--max-size", "0").out


def test_gc_only_current(project, hello):
    """With --only-current, what the last whole sync used stays, however old; the rest goes."""
    project.recipe("local.hello@r1", HELLO.replace("small", "SMALL"))
    project.envy("sync")
    for number, record in enumerate(
        sorted(project.cache.glob("projects/*/*.json"), key=lambda path: path.stat().st_mtime)
    ):
        os.utime(record, (LONG_AGO + number, LONG_AGO + number))
    for path in project.cache.glob("assets/*/*/envy-complete"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    told = project.envy("cache", "gc", "--only-current").out
    assert "no project's last sync used it" in told
    assert not hello.exists()
    assert len(project.entries()) == 1
    assert "1 cached" in project.envy("sync").err


def test_gc_removes_attempts_that_failed_long_ago(project):
    """A failed attempt is kept for a day to be looked at, then it goes."""
    project.packages("local.broken@r1")
    project.recipe("local.broken@r1", 'install = "echo here > here; exit 1"')
    project.envy("sync", code=1)
    ((_, entry),) = project.entries()
    assert (entry / "asset" / "here").read_text() == "here\n"
    assert "0 entries" in project.envy("cache", "gc").out
    for path in [*entry.rglob("*"), entry]:
        os.utime(path, (LONG_AGO, LONG_AGO))
    assert "an attempt that did not complete" in project.envy("cache", "gc").out
    assert project.entries() == []


def test_gc_empties_the_trash_of_an_interrupted_one(project, hello):
    """What an interrupted gc had moved away is deleted by the next."""
    trash = project.cache / "trash" / "left-over"
    trash.mkdir(parents=True)
    (trash / "file").write_text("x")
    trash.chmod(0o555)
    project.envy("cache", "gc")
    assert not trash.exists()


def test_gc_spares_what_a_running_sync_relies_upon(project, hello):
    """The lease of a sync that is at work keeps even what was not used for long."""
    beat = project.root / "beat"
    os.mkfifo(beat)
    project.packages("local.hello@r1", "local.slow@r1")
    project.recipe("local.slow@r1", f'install = "echo > {beat}; read x < {beat}; echo x > x"')
    sync = project.popen("sync")
    beat.read_text()
    age(project)
    told = project.envy("cache", "gc", "-v").out
    assert "local.hello@r1: a command that runs relies upon it" in told
    beat.write_text("go on\n")
    assert sync.wait(timeout=60) == 0
    assert hello.exists()


def test_gc_with_a_clock_set_back(project, hello):
    """What seems to be used in the future is spared."""
    age(project, time.time() + 400 * 86400)
    assert "0 entries" in project.envy("cache", "gc", "--max-size", "0").out
    assert "just now" in project.envy("cache").out
    assert "1 cached" in project.envy("sync").err


def test_foreign_files_are_left_alone(project, hello, tmp_path):
    """Files and links that envy did not put into the cache are named and not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assets = project.cache / "assets"
    (assets / "notes.txt").write_text("mine")
    (assets / "local.hello@r1" / "linux-x86_64-blake3-0000000000000000").symlink_to(elsewhere)
    (assets / "local.hello@r1" / "linux-x86_64-blake3-1111111111111111").write_text("a file")
    age(project)
    told = project.envy("cache", "gc")
    assert "1 entry)" in told.out
    assert (assets / "notes.txt").exists()
    assert elsewhere.exists()
    assert project.envy("cache").err.count("was not created by envy, and is left alone") == 3


@pytest.mark.parametrize(
    "words", [("--unused-for", "30"), ("--max-size", "much"), ("--unused-for", "-1d")]
)
def test_gc_options_that_cannot_be(project, words):
    """A span or size that is none is told with an example, and nothing is removed."""
    assert "write " in project.envy("cache", "gc", *words, code=2).err


def test_help(project):
    """Each command has its help."""
    for words in (("cache",), ("cache", "gc"), ("cache", "verify"), ("export",), ("import",)):
        assert "Common options" in project.envy(*words, "--help", trace=False).out


def test_logs_of_failed_attempts(project):
    """A failed build stays to be looked at, and its log is one of the last five."""
    project.packages("local.broken@r1")
    project.recipe("local.broken@r1", 'install = "echo again >> $ENVY_STAGE_DIR/made; exit 1"')
    for _ in range(7):
        project.envy("sync", trace=False, code=1)
    ((_, entry),) = project.entries()
    assert (entry / "work" / "stage" / "made").read_text() == "again\n"
    assert len(list(project.cache.glob("logs/local.broken@r1/*/*/install.log"))) == 5
