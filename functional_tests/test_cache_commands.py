"""`envy cache`, `envy cache verify` and `envy cache gc`."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

LONG_AGO = time.time() - 40 * 86400
HELLO = 'install = "mkdir bin; echo hello > bin/hello; echo small > small"'


@pytest.fixture
def hello(project):
    """The folder of a package that is installed in a project."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", HELLO)
    project.envy("sync")
    return Path(project.envy("asset", "hello").out.strip())


def disk_usage(path):
    """The bytes that a tree takes, as `du` counts them."""
    run = subprocess.run(["du", "-s", "-B1", path], capture_output=True, text=True, check=True)
    return int(run.stdout.split()[0])


def age(project, at=LONG_AGO):
    """Set the times of all entries and records."""
    for pattern in ("projects/*/*.json", "assets/*/*/*", "assets/*/*"):
        for path in project.cache.glob(pattern):
            os.utime(path, (at, at))


def test_list_is_largest_first(project, hello):
    """Each entry is listed with its size, last use and key, the largest first."""
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
    assert {"assets", "locks", "projects", "resolved", "."} <= listing["rest"].keys()
    assert listing["size"] + sum(listing["rest"].values()) == disk_usage(project.cache)
    assert entry["key"] == "local.hello@r1"
    assert entry["complete"] is True
    assert entry["projects"] == [str(project.root)]
    assert entry["path"] == str(hello.parent)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["last_used"])


def test_list_of_no_cache(project):
    """A cache that does not exist is listed as empty, and is not created."""
    assert "in 0 entries" in project.envy("cache").out
    assert not project.cache.exists()


def test_published_files_are_read_only(hello):
    """By their modes, the files and folders of a package are read-only."""
    paths = [hello, hello / "bin", hello / "bin" / "hello", hello / "small"]
    assert [path.stat().st_mode & 0o222 for path in paths] == [0, 0, 0, 0]


def test_writable_package(project):
    """A `writable` package keeps its modes, and may get new files."""
    project.packages("local.grows@r1")
    project.recipe("local.grows@r1", 'writable = true\ninstall = "echo x > x"')
    project.envy("sync")
    folder = Path(project.envy("asset", "grows").out.strip())
    assert (folder / "x").stat().st_mode & 0o200
    (folder / "added").write_text("by the tool itself")
    assert "0 damaged" in project.envy("cache", "verify").out


def test_copy_of_a_published_file_can_be_changed(project):
    """Files that ctx.copy copies out of a package are writable."""
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
    output = project.envy("cache", "verify", "hello", code=1).out
    assert "local.hello@r1: small: changed: its content differs" in output
    assert "local.hello@r1: bin/hello: is missing" in output
    assert "local.hello@r1: bin/extra: was added after publishing" in output
    assert "1 damaged" in output


def test_verify_reports_every_change_of_a_file(project, hello):
    """A changed mode is reported together with the changed content."""
    (hello / "small").chmod(0o644)
    (hello / "small").write_text("smaller")
    output = project.envy("cache", "verify", code=1).out
    assert "small: changed: its size was 6 bytes and is 7; its mode was 444 and is 644" in output


def test_verify_repairs(project, hello):
    """A repair rebuilds a package of the project."""
    damage(hello)
    output = project.envy("cache", "verify", "--repair").out
    assert "local.hello@r1: rebuilt" in output
    assert (hello / "small").read_text() == "small\n"
    assert "0 damaged" in project.envy("cache", "verify").out


def test_verify_repairs_outside_of_a_project(project, hello, tmp_path):
    """Without a manifest, the damaged package is removed, and the next sync builds it."""
    damage(hello)
    output = project.envy("cache", "verify", "--repair", cwd=tmp_path).out
    assert "the next sync that needs it rebuilds it" in output
    assert not hello.exists()
    assert "1 installed" in project.envy("sync").err


def test_verify_of_an_unknown_package(project, hello):
    """A query that matches no entry is an error."""
    assert (
        "no package answers to 'nothing'" in project.envy("cache", "verify", "nothing", code=1).err
    )


def test_marker_without_asset(project, hello):
    """An entry without its asset is a miss that says so, and is rebuilt."""
    aside = hello.parent / "aside"
    hello.rename(aside)
    run = project.envy("sync", "-v")
    assert "it has a marker, but" in run.err
    assert "1 installed" in run.err


def test_gc_keeps_what_was_used_within_a_day(project, hello):
    """Nothing is removed from a cache that was just used, whatever the options."""
    output = project.envy("cache", "gc", "--unused-for", "0m", "--max-size", "0").out
    assert "freed 0 B (0 bytes, 0 entries)" in output
    assert hello.exists()


def test_gc_removes_what_no_project_needs(project, hello):
    """Once the project is forgotten, an entry unused for thirty days is removed."""
    size = json.loads(project.envy("cache", "--json").out)["size"]
    age(project)
    output = project.envy("cache", "gc").out
    assert "(0 bytes, 0 entries)" in output
    assert output.splitlines()[-1].endswith(f"  in 1 entry that {project.root} needs")
    forgotten = project.envy("cache", "forget", ".").out
    assert forgotten == f"forgot {project.root}: 1 record of 1 package\n"
    dry = project.envy("cache", "gc", "--dry-run").out
    assert f"({size} bytes, 1 entry)" in dry
    assert hello.exists()
    output = project.envy("cache", "gc").out
    assert "local.hello@r1: not used for 40 days" in output
    assert f"({size} bytes, 1 entry); 0 B left in 0" in output
    assert project.entries() == []
    assert list((project.cache / "trash").iterdir()) == []
    assert "1 installed" in project.envy("sync").err


def test_gc_removes_what_a_deleted_project_used(project, hello):
    """A project whose folder or manifest was removed holds nothing."""
    age(project)
    manifest = project.root / "envy.lua"
    manifest.rename(manifest.with_suffix(".away"))
    assert "1 entry" in project.envy("cache", "gc").out
    manifest.with_suffix(".away").rename(manifest)
    project.envy("sync")
    age(project)
    shutil.rmtree(project.root)
    project.root.mkdir()
    assert "1 entry" in project.envy("cache", "gc").out


def test_forget_an_unknown_project(project, hello, tmp_path):
    """The error lists the projects that the cache knows; a manifest names its project, too."""
    err = project.envy("cache", "forget", tmp_path / "nowhere", code=2).err
    assert f"the cache has no records of a project {tmp_path / 'nowhere'}" in err
    assert f"it knows {project.root}" in err
    assert "forgot" in project.envy("cache", "forget", project.root / "envy.lua").out
    err = project.envy("cache", "forget", ".", code=2).err
    assert "no project has used this cache yet" in err


def test_rows_of_gc_add_up_to_the_disk_usage(project, hello):
    """What gc lists, with hard links and folders, is what du counts."""
    project.packages("local.hello@r1", "local.links@r1")
    project.recipe(
        "local.links@r1",
        'install = "head -c 70000 /dev/zero > one; ln one two; mkdir -p a/b/c; ln -s one three"',
    )
    project.envy("sync")
    tests = project.cache / "test" / "go" / "ab" / ("ab" + "0" * 30)
    tests.mkdir(parents=True)
    (tests / "it.test").write_bytes(b"x" * 50000)
    output = project.envy("cache", "gc", "--dry-run", "--verbose", trace=False).out
    rows = re.findall(r"^kept +([\d.]+) (\w+)  ", output, re.MULTILINE)
    units = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    total = sum(float(number) * units[unit] for number, unit in rows)
    assert total == pytest.approx(disk_usage(project.cache), rel=0.01)
    assert "test binary go/ab/" in output


def test_gc_to_a_size_counts_test_binaries(project, hello):
    """Test binaries are in the figures of gc, and go with --max-size like packages."""
    folder = project.cache / "test" / "go" / "ab" / ("ab" + "0" * 30)
    folder.mkdir(parents=True)
    (folder / "it.test").write_bytes(b"x" * 50000)
    output = project.envy("cache", "gc", "--max-size", "0").out
    assert "over --max-size, and nothing more can go" in output
    assert "in 1 entry that" in output
    assert folder.exists()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    assert "1 test binary" in project.envy("cache", "gc").out
    assert not folder.exists()


def test_gc_says_what_holds_it_above_a_size(project, hello):
    """If the size cannot be reached, gc names the projects that hold packages, and the remedy."""
    project.recipe("local.hello@r1", 'install = "head -c 300000 /dev/zero > large"')
    project.envy("sync")
    age(project)
    output = project.envy("cache", "gc", "--max-size", "1K").out
    assert "over --max-size, and nothing more can go:" in output
    assert f"in 1 entry that {project.root} needs" in output
    assert "hint: `envy cache forget PROJECT` ends a project's hold" in output
    (project.root / "envy.lua").unlink()
    project.envy("cache", "gc", "--max-size", "150K")
    assert disk_usage(project.cache) <= 150 << 10


@pytest.mark.parametrize("words", [("sync",), ("asset", "hello"), ("run", "true")])
def test_gc_goes_by_use_not_by_age(project, hello, words):
    """An old entry that a command used again stays, also if that was a warm command."""
    project.envy("sync", trace=False)
    age(project)
    project.envy(*words, trace=False)
    assert "0 entries" in project.envy("cache", "gc").out
    assert hello.exists()


def test_gc_of_no_cache(project):
    """gc of a cache that does not exist removes nothing, and does not create it."""
    assert "freed 0 B (0 bytes, 0 entries)" in project.envy("cache", "gc").out
    assert "would free 0 B" in project.envy("cache", "gc", "--dry-run").out
    assert not project.cache.exists()


def test_gc_down_to_a_size(project, hello):
    """The least recently used is removed first, and never what a project needs to run."""
    project.packages("local.hello@r1", "local.other@r1")
    project.recipe("local.other@r1", 'install = "echo other > other"')
    project.envy("sync")
    age(project, time.time() - 10 * 86400)
    for record in project.cache.glob("projects/*/*.json"):
        record.unlink()
    os.utime(hello.parent / "envy-complete", (LONG_AGO + 86400 * 15, LONG_AGO + 86400 * 15))
    size = disk_usage(project.cache)
    output = project.envy("cache", "gc", "--max-size", str(size - 1)).out
    assert "local.hello@r1: built 25 days ago; the cache exceeds --max-size" in output
    assert project.markers() == ["local.other@r1"]
    project.envy("sync")
    age(project, time.time() - 10 * 86400)
    assert "0 entries" in project.envy("cache", "gc", "--max-size", "0").out


def test_packages_with_one_name_can_be_told_apart(project, hello):
    """Entries with one name show their entry keys, which rm takes, too."""
    project.recipe("local.hello@r1", HELLO.replace("small", "SMALL"))
    project.envy("sync")
    rows = [row for row in project.envy("cache").out.splitlines() if "local.hello@r1" in row]
    keys = [row.split()[-1] for row in rows]
    assert sorted(keys) == sorted(path.name[-16:] for _, path in project.entries())
    gone = project.envy("cache", "rm", hello.parent.name[-16:][:8]).out
    assert gone.startswith("removed ")
    assert hello.parent.name[-16:] in gone
    assert not hello.exists()
    assert len(project.entries()) == 1
    assert "local.hello@r1\n" in project.envy("cache").out


def test_rm(project, hello):
    """rm removes what the queries name, whichever project uses it, and the next sync rebuilds."""
    assert "goes " in project.envy("cache", "rm", "hello", "--dry-run").out
    assert hello.exists()
    output = project.envy("cache", "rm", "local.hello@r1").out
    assert re.search(r"removed +[\d.]+ KiB  local\.hello@r1\nfreed .* bytes\)\n$", output)
    assert project.entries() == []
    assert "no package answers to 'hello'" in project.envy("cache", "rm", "hello", code=1).err
    assert "1 installed" in project.envy("sync").err
    assert "Missing argument" in project.envy("cache", "rm", code=2).err


def test_rm_and_clear_keep_what_a_running_sync_uses(project, hello):
    """What a running sync uses stays; rm and clear say so, with exit code 1."""
    beat = project.root / "beat"
    os.mkfifo(beat)
    project.packages("local.hello@r1", "local.slow@r1")
    project.recipe("local.slow@r1", f'install = "echo > {beat}; read x < {beat}; echo x > x"')
    sync = project.popen("sync")
    beat.read_text()
    for words in (("rm", "hello", "slow"), ("clear",)):
        output = project.envy("cache", *words, code=1).out
        assert "local.hello@r1: a running command uses it" in output
        assert "local.slow@r1: a running command uses it" in output
    beat.write_text("go on\n")
    assert sync.wait(timeout=300) == 0
    assert hello.exists()
    assert "0 damaged" in project.envy("cache", "verify").out


def test_clear_leaves_nothing(project, hello):
    """clear removes everything, and a sync afterwards starts over."""
    project.packages("local.hello@r1", "local.broken@r1")
    project.recipe("local.broken@r1", 'install = "echo here > here; exit 1"')
    project.envy("sync", code=1, trace=False)
    output = project.envy("cache", "clear", trace=False).out
    assert re.fullmatch(r"freed [\d.]+ KiB in 2 entries\n", output)
    assert not project.cache.exists()
    assert "there is nothing in" in project.envy("cache", "clear", trace=False).out
    project.packages("local.hello@r1")
    assert "1 installed" in project.envy("sync").err


def test_clear_leaves_foreign_files_alone(project, hello):
    """Files that envy did not create stay, in the root and among the packages."""
    mine = [project.cache / "mine.txt", project.cache / "assets" / "notes.txt"]
    for path in mine:
        path.write_text("mine")
    project.envy("cache", "clear", trace=False)
    left = [path for path in project.cache.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(mine)


def test_an_entry_that_cannot_be_read_is_skipped(project, hello):
    """An entry that cannot be read is named; the others are listed and collected."""
    project.packages("local.hello@r1", "local.other@r1")
    project.recipe("local.other@r1", 'install = "echo other > other"')
    project.envy("sync")
    project.envy("cache", "forget", ".")
    age(project)
    (hello.parent / "envy-complete").unlink()
    (hello.parent / "envy-complete").symlink_to("envy-complete")
    err = project.envy("cache", code=1).err
    assert "error: cannot read" in err
    assert str(hello.parent) in err
    run = project.envy("cache", "gc", code=1)
    assert "local.other@r1: not used for 40 days" in run.out
    assert "error: cannot read" in run.err


def test_gc_only_current(project, hello):
    """With --only-current, only what the last whole sync used stays, however old."""
    project.recipe("local.hello@r1", HELLO.replace("small", "SMALL"))
    project.envy("sync")
    for number, record in enumerate(
        sorted(project.cache.glob("projects/*/*.json"), key=lambda path: path.stat().st_mtime)
    ):
        os.utime(record, (LONG_AGO + number, LONG_AGO + number))
    for path in project.cache.glob("assets/*/*/envy-complete"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    output = project.envy("cache", "gc", "--only-current").out
    assert "no project's last sync used it" in output
    assert not hello.exists()
    assert len(project.entries()) == 1
    assert "1 cached" in project.envy("sync").err


def test_gc_removes_attempts_that_failed_long_ago(project):
    """A failed attempt is kept for a day, for inspection, and then removed."""
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


def test_gc_empties_the_trash_of_an_interrupted_gc(project, hello):
    """The next gc deletes what an interrupted one left in the trash."""
    trash = project.cache / "trash" / "left-over"
    trash.mkdir(parents=True)
    (trash / "file").write_text("x")
    trash.chmod(0o555)
    project.envy("cache", "gc")
    assert not trash.exists()


def test_gc_keeps_what_a_running_sync_uses(project, hello):
    """The lease of a running sync protects even what was unused for long."""
    beat = project.root / "beat"
    os.mkfifo(beat)
    project.packages("local.hello@r1", "local.slow@r1")
    project.recipe("local.slow@r1", f'install = "echo > {beat}; read x < {beat}; echo x > x"')
    sync = project.popen("sync")
    beat.read_text()
    age(project)
    output = project.envy("cache", "gc", "-v").out
    assert "local.hello@r1: a running command uses it" in output
    beat.write_text("go on\n")
    assert sync.wait(timeout=300) == 0
    assert hello.exists()


def test_gc_with_a_clock_set_back(project, hello):
    """Entries that seem to be used in the future stay."""
    age(project, time.time() + 400 * 86400)
    assert "0 entries" in project.envy("cache", "gc", "--max-size", "0").out
    assert "just now" in project.envy("cache").out
    assert "1 cached" in project.envy("sync").err


def test_foreign_files_are_left_alone(project, hello, tmp_path):
    """Files and links that envy did not create are named and not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assets = project.cache / "assets"
    (assets / "notes.txt").write_text("mine")
    (assets / "local.hello@r1" / "linux-x86_64-blake3-0000000000000000").symlink_to(elsewhere)
    (assets / "local.hello@r1" / "linux-x86_64-blake3-1111111111111111").write_text("a file")
    project.envy("cache", "forget", ".")
    age(project)
    output = project.envy("cache", "gc")
    assert "1 entry)" in output.out
    assert (assets / "notes.txt").exists()
    assert elsewhere.exists()
    assert project.envy("cache").err.count("was not created by envy and is ignored") == 3


@pytest.mark.parametrize(
    "words", [("--unused-for", "30"), ("--max-size", "much"), ("--unused-for", "-1d")]
)
def test_invalid_gc_options(project, words):
    """An invalid span or size is an error with an example."""
    assert "write " in project.envy("cache", "gc", *words, code=2).err


def test_help(project):
    """Each command has its help."""
    for words in (("cache",), ("cache", "gc"), ("cache", "verify"), ("export",), ("import",)):
        assert "Common options" in project.envy(*words, "--help", trace=False).out


def test_logs_of_failed_attempts(project):
    """A failed build is kept for inspection, with the logs of the last five attempts."""
    project.packages("local.broken@r1")
    project.recipe("local.broken@r1", 'install = "echo again >> $ENVY_STAGE_DIR/made; exit 1"')
    for _ in range(7):
        project.envy("sync", trace=False, code=1)
    ((_, entry),) = project.entries()
    assert (entry / "work" / "stage" / "made").read_text() == "again\n"
    assert len(list(project.cache.glob("logs/local.broken@r1/*/*/install.log"))) == 5
