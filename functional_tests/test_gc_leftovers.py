"""`envy cache gc` besides entries: recipe files, answers, logs, locks and records."""

import hashlib
import os
import re
import shutil
import time

import pytest
from loopback.http_server import Reply

DAYS = 86400.0
RECIPE = 'identity = "vendor.tool@v3"\ninstall = "echo > tool.txt"\n'


def age(project, days, *patterns):
    """Set the times of matching files in the cache to so many days ago."""
    at = time.time() - days * DAYS
    for pattern in patterns:
        for path in project.cache.glob(pattern):
            os.utime(path, (at, at))


def age_all(project, days):
    age(project, days, "**/*")


@pytest.fixture
def remote(project, http_server):
    """A project with a recipe from a web server, synced."""
    http_server.routes["/tool.lua"] = Reply(RECIPE.encode())
    digest = hashlib.sha256(RECIPE.encode()).hexdigest()
    project.manifest(
        f'packages = {{ {{ recipe = "vendor.tool@v3", source = "{http_server.url}/tool.lua", '
        f'sha256 = "{digest}" }} }}'
    )
    project.envy("sync", trace=False)
    return project


def left(project, *folders):
    """Count the files and folders that match each pattern."""
    return [len(list(project.cache.glob(folder))) for folder in folders]


ALL = ("recipes/*/*", "resolved/*", "assets/*/*", "projects/*/*")


def test_unused_files_are_removed_and_fetched_again(remote, http_server):
    """Unused recipe files are removed with a reason and a size, and fetched when needed."""
    assert left(remote, *ALL) == [1, 1, 1, 1]
    age_all(remote, 40)
    dry = remote.envy("cache", "gc", "--dry-run").out
    assert left(remote, *ALL) == [1, 1, 1, 1]
    output = remote.envy("cache", "gc").out
    assert re.search(r"^removed +[\d.]+ KiB  recipe vendor\.tool@v3/", output, re.MULTILINE)
    assert "not used for 40 days" in output
    assert f"answer {remote.root}/envy.lua: not used for 40 days" in output
    assert re.search(r"KiB  download sha256/[0-9a-f]{64}: not used for 40 days", output)
    assert "0 entries, 1 recipe, 1 answer, 1 download); " in output
    assert dry.replace("would free", "freed").replace("goes   ", "removed") == output
    # Which set of packages the project used last is kept, and the packages that it needs to run.
    assert left(remote, *ALL) == [0, 0, 1, 1]
    assert left(remote, "locks/*.lock", "trash/*") == [1, 0]
    assert "1 cached" in remote.envy("sync").err
    assert http_server.paths() == ["/tool.lua"] * 2


@pytest.mark.parametrize("words", [("sync",), ("asset", "tool"), ("sync", "--verbose")])
def test_what_a_command_uses_stays(remote, http_server, words):
    """The recipe file of a used package stays, also if a warm command used it."""
    age_all(remote, 40)
    remote.envy(*words, trace=False)
    assert "0 entries, 1 download)" in remote.envy("cache", "gc").out
    shutil.rmtree(remote.cache / "resolved")  # so that the recipe itself is needed
    remote.envy("sync", trace=False)
    assert http_server.paths() == ["/tool.lua"]


def test_what_a_running_sync_uses_stays(remote, tmp_path):
    """Recipe files that a sync has loaded stay while it runs, however old they are."""
    beat = tmp_path / "beat"
    os.mkfifo(beat)
    remote.manifest(
        remote.root.joinpath("envy.lua").read_text().replace("} }", '}, "local.slow@r1" }')
    )
    remote.recipe("local.slow@r1", f'install = "echo > {beat}; read x < {beat}; echo > x"')
    sync = remote.popen("sync")
    beat.read_text()
    age(remote, 40, "recipes/**/*", "recipes/*/*")
    output = remote.envy("cache", "gc", "-v").out
    beat.write_text("go on\n")
    sync.communicate(timeout=300)
    assert "kept" in output
    row = next(row for row in output.splitlines() if "recipe vendor.tool@v3" in row)
    assert row.endswith("a running command uses it")
    assert left(remote, "recipes/*/*/recipe.lua") == [1]


def test_answers_of_a_removed_manifest(remote):
    """After a project is deleted, its answer stays for a day and its records for a month."""
    remote.root.joinpath("envy.lua").rename(remote.root.parent / "elsewhere.lua")
    assert "0 entries)" in remote.envy("cache", "gc").out
    age_all(remote, 2)
    output = remote.envy("cache", "gc").out
    assert f"answer {remote.root}/envy.lua: its manifest was removed" in output
    assert left(remote, "resolved/*", "projects/*/*") == [0, 1]
    age_all(remote, 40)
    shutil.rmtree(remote.root)
    remote.envy("cache", "gc", cwd=remote.root.parent)
    assert left(remote, "projects/*") == [0]


def test_unfinished_fetches(remote):
    """Leftovers of a killed fetch are removed after a day."""
    (half,) = [
        path.with_name(path.name + ".new") for path in remote.cache.glob("recipes/vendor*/*")
    ]
    half.mkdir()
    for ending in ("4711", "4711-01234567.new"):  # of an earlier envy, and of this one
        (remote.cache / "resolved" / f"0123456789abcdef.answer.{ending}").write_text("half")
    assert "0 entries)" in remote.envy("cache", "gc").out
    age(remote, 1.5, "recipes/*/*.new", "resolved/*.4711*")
    output = remote.envy("cache", "gc").out
    assert output.count("unfinished for 36 hours") == 3
    assert left(remote, "recipes/*/*", "resolved/*") == [1, 1]


def test_logs_without_an_entry(project, tmp_path):
    """Logs of user-managed installs, which have no entry, are removed after a month."""
    project.packages("local.driver@r1")
    driver = tmp_path / "driver"
    project.recipe(
        "local.driver@r1", f'check = "test -e {driver}"\ninstall = "echo on; touch {driver}"'
    )
    project.envy("sync", "--yes")
    age_all(project, 20)
    assert "0 entries)" in project.envy("cache", "gc").out
    age_all(project, 40)
    assert "logs of local.driver@r1/" in project.envy("cache", "gc").out
    assert left(project, "logs/*/*") == [0]


def test_unused_lock_files_are_removed(remote):
    """A lock file is removed with its entry, or after a day if it has nothing to lock."""
    locks = list(remote.cache.glob("locks/vendor*.lock"))  # of the entry, and of its recipe file
    exclusive = remote.cache / "locks" / "exclusive" / "apt.lock"
    exclusive.parent.mkdir()
    stray = locks[0].with_name("local.gone@r1-0123456789abcdef.lock")
    young = stray.with_name("local.gone@r1-1123456789abcdef.lock")
    for path in (exclusive, stray, young):
        path.touch()
    age_all(remote, 2)
    os.utime(young)
    assert "removed  2 lock files without an entry" in remote.envy("cache", "gc", "-v").out
    assert [path.exists() for path in (exclusive, stray, young)] == [False, False, True]
    assert [path.exists() for path in locks] == [True, True]


def test_a_held_lock_stays(remote):
    """The file of a held lock stays, however old it is."""
    import fcntl

    stray = remote.cache / "locks" / "local.gone@r1-0123456789abcdef.lock"
    with stray.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        age_all(remote, 40)
        remote.envy("cache", "gc")
        assert stray.exists()
