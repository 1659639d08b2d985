"""`envy sync` on recipes of a project: what is installed, what is cached, what is printed."""

import os
from pathlib import Path

from project import is_running


def test_a_package_is_installed_once_and_found_after(project):
    """The first sync installs; the second finds everything and runs no script."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", 'install = "echo hello > hello.txt"')
    first = project.envy("sync")
    assert "1 installed" in first.err
    second = project.envy("sync")
    assert "1 cached" in second.err
    assert second.named("lua_ctx_run_start") == []
    folder = project.envy("asset", "hello").out.strip()
    assert (Path(folder) / "hello.txt").read_text() == "hello\n"


def test_two_projects_share_what_is_built(project, second_project):
    """The same recipe in another project with the same cache is a cache hit."""
    for one in (project, second_project):
        one.packages("local.hello@r1")
        one.recipe("local.hello@r1", 'install = "echo hello > hello.txt"')
    project.envy("sync")
    assert "1 cached" in second_project.envy("sync").err


def test_the_last_line_counts_the_packages_by_outcome(project, tmp_path):
    """The last line counts the packages by outcome, and has the time."""
    project.packages("local.cached@r1")
    project.recipe("local.cached@r1", 'install = "touch x"')
    project.envy("sync")
    project.packages("local.app@r1", "local.bad@r1", "local.cached@r1", "local.driver@r1")
    project.recipe("local.app@r1", 'dependencies = { "local.bad@r1" }\ninstall = "touch x"')
    project.recipe("local.bad@r1", f'install = "test -e {tmp_path}/ready; touch x"')
    project.recipe("local.driver@r1", 'check = "true"\ninstall = "true"')
    failed = project.envy("sync", code=1).err.splitlines()[-1]
    counts = "sync failed: 4 packages, 1 user-managed, 1 failed, 1 not built (1 cached) in "
    assert failed.startswith(counts)
    (tmp_path / "ready").touch()
    done = project.envy("sync").err.splitlines()[-1]
    counts = "sync complete: 4 packages, 1 user-managed, 0 failed (1 cached, 2 installed) in "
    assert done.startswith(counts)


def test_the_next_sync_continues_after_a_failure(project, tmp_path):
    """Packages that were installed beside a failure are found by the next sync."""
    project.packages("local.bad@r1", "local.good@r1")
    project.recipe("local.good@r1", 'install = "touch x"')
    project.recipe("local.bad@r1", f'install = "test -e {tmp_path}/ready; touch x"')
    project.envy("sync", code=1)
    (tmp_path / "ready").touch()
    run = project.envy("sync")
    assert [event["recipe"] for event in run.named("cache_hit")] == ["local.good@r1"]


def test_fail_fast_ends_what_is_running(project, tmp_path):
    """The first failure ends the scripts of other packages, which are not published."""
    fifo = tmp_path / "reached.fifo"
    os.mkfifo(fifo)
    project.packages("local.bad@r1", "local.slow@r1")
    project.recipe("local.slow@r1", f'install = "touch x; echo $$ > {fifo}; sleep 600"')
    project.recipe(
        "local.bad@r1", f'install = "read pid < {fifo}; echo $pid > {tmp_path}/pid; exit 3"'
    )
    run = project.envy("sync", "--fail-fast", "--jobs", "2", code=1, timeout=300)
    assert "exited 3" in run.err
    assert project.markers() == []
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_an_entry_that_is_listed_twice_is_one_package(project):
    """An entry that is listed twice is one package."""
    project.packages("local.b@r1", "local.a@r1", "local.b@r1")
    for name in "ab":
        project.recipe(f"local.{name}@r1", 'install = "touch x"')
    assert "2 packages," in project.envy("sync").err


def test_an_empty_manifest(project):
    """A sync of a manifest without packages is complete."""
    project.manifest("packages = {}")
    assert project.envy("sync").err.startswith("sync complete: 0 packages")


def test_cache_root_selects_the_cache(project, tmp_path):
    """--cache-root selects the cache, before or after the command."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    project.envy("sync")
    other = tmp_path / "other"
    assert "1 installed" in project.envy("--cache-root", other, "sync").err
    assert "1 cached" in project.envy("sync", "--cache-root", other).err
    assert project.envy("asset", "one", "--cache-root", other).out.startswith(str(other))


def test_the_manifest_is_found_from_a_subfolder_and_by_its_name(project, tmp_path):
    """The manifest is found from a subfolder, by --manifest, and by ENVY_MANIFEST."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    below = project.root / "a" / "b"
    below.mkdir(parents=True)
    paths = {
        project.envy("asset", "one", cwd=below).out,
        project.envy("asset", "one", "--manifest", "../../envy.lua", cwd=below).out,
        project.envy("asset", "one", cwd="/", env={"ENVY_MANIFEST": project.root / "envy.lua"}).out,
    }
    assert len(paths) == 1
