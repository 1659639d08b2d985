"""User-managed packages: they change the machine, their check decides, and the user is asked."""

import os
import pty
import signal
from pathlib import Path

import pytest
from project import Project, is_running, report_of_lock


@pytest.fixture
def machine(tmp_path):
    """A folder that represents the machine, outside cache and project."""
    folder = tmp_path / "machine"
    folder.mkdir()
    return folder


def managed(machine, name, extra="", install="true"):
    """Return a recipe that a file of the machine satisfies, and that records each install."""
    return (
        f'check = "echo {name} >> {machine}/checks; test -e {machine}/{name}"\n'
        f'install = "{install}; echo {name} >> {machine}/installs; touch {machine}/{name}"\n'
        f"{extra}"
    )


def noted(machine, what):
    """Return what the scripts recorded."""
    path = machine / what
    return path.read_text().split() if path.exists() else []


def plan(project, machine, *names, **details):
    """Write a manifest of such recipes."""
    project.packages(*[f"local.{name}@r1" for name in names])
    for name in names:
        project.recipe(f"local.{name}@r1", managed(machine, name, **details))


# -- the check decides --------------------------------------------------------------------------


def test_a_satisfied_package_is_left_alone(project, machine):
    """If the check succeeds, there is no question and no install."""
    plan(project, machine, "driver")
    (machine / "driver").touch()
    run = project.envy("sync")
    assert "1 package, 1 user-managed, 0 failed" in run.err
    assert run.named("recipe_complete", outcome="satisfied")
    assert noted(machine, "installs") == []


def test_it_is_installed_once_and_only_checked_after(project, machine):
    """The second sync runs only the check."""
    plan(project, machine, "driver")
    first = project.envy("sync", "--yes")
    assert first.named("recipe_complete", outcome="changed")
    assert (
        noted(machine, "checks") == ["driver"] * 3
    )  # before the lock, under it, after the install
    second = project.envy("sync")
    assert [event["command"][:4] for event in second.named("lua_ctx_run_start")] == ["echo"]
    assert noted(machine, "installs") == ["driver"]


def test_it_is_installed_again_when_its_check_fails(project, machine):
    """envy stores nothing about the machine."""
    plan(project, machine, "driver")
    project.envy("sync", "--yes")
    (machine / "driver").unlink()
    project.envy("sync", "--yes")
    assert noted(machine, "installs") == ["driver", "driver"]


NOT_SATISFIED = "install succeeded, but check still reports that the package is not satisfied"
NEVER = 'check = "echo not there; exit 1"\ninstall = "echo x >> installs"'


def test_a_check_that_fails_after_the_install_is_a_warning(project):
    """If no package needs it, it is unconfirmed, and every sync installs it again."""
    project.packages("local.driver@r1")
    project.recipe("local.driver@r1", NEVER)
    for number in (1, 2):
        run = project.envy("sync", "--yes")
        assert f"warning: local.driver@r1: {NOT_SATISFIED}: it is unconfirmed" in run.err
        assert "| not there" in run.err
        assert "installed (unconfirmed) local.driver@r1" in run.err
        assert "sync complete: 1 package, 1 user-managed (1 unconfirmed), 0 failed" in run.err
        assert run.named("recipe_complete", outcome="unconfirmed")
        assert (project.root / "installs").read_text() == "x\n" * number


@pytest.mark.parametrize("use", ["run", "build"])
def test_a_package_that_needs_it_is_not_built_without_it(project, use):
    """A failure of the check after the install fails the package, and the one that waits."""
    project.packages("local.app@r1")
    project.recipe("local.driver@r1", NEVER)
    needs = f'dependencies = {{ {{ recipe = "local.driver@r1", use = "{use}" }} }}\n'
    project.recipe("local.app@r1", needs + 'install = "touch app"')
    run = project.envy("sync", "--yes", code=1)
    assert f"{NOT_SATISFIED}, and local.app@r1 needs it" in run.err
    assert "| not there" in run.err
    assert "recheck = false" in run.err
    assert project.markers() == []
    # With its package in the cache, nothing is built without it.
    project.recipe("local.driver@r1", NEVER + "\nrecheck = false")
    assert "(1 unconfirmed), 0 failed" in project.envy("sync", "--yes").err
    assert project.markers() == ["local.app@r1"]


def test_recheck_is_for_user_managed_packages(project):
    """A recipe without `check` cannot have it."""
    run = project.sync_one('recheck = false\ninstall = "touch x"', code=1)
    assert "`recheck` is for user-managed packages, and this recipe has no `check`" in run.err


def test_an_edited_dependency_forces_no_install(project, machine):
    """Only the check decides: a rebuilt dependency causes no new install."""
    project.packages("local.driver@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    needs = 'dependencies = { "local.tool@r1" }'
    project.recipe("local.driver@r1", managed(machine, "driver", extra=needs))
    project.envy("sync", "--yes")
    project.recipe("local.tool@r1", 'install = "echo other > tool.txt"')
    second = project.envy("sync")
    assert second.named("recipe_complete", recipe="local.tool@r1", outcome="installed")
    assert noted(machine, "installs") == ["driver"]


@pytest.mark.parametrize(
    ("check", "satisfied"),
    [
        ("function() return true end", True),
        ("function() return false end", False),
        ('function() return "true" end', True),
        ('function() return "exit 3" end', False),
        ('function(ctx) return ctx.run("exit 3").exit_code == 3 end', True),
        ('function(ctx) return ctx.run("no_such_program").exit_code == 0 end', False),
        ('function(ctx) return ctx.exists("envy.lua") end', True),
        ('function(ctx, opts) return ctx.options.kind == "a" and opts.kind == "a" end', True),
        ('"test -e envy.lua"', True),
        ('"no_such_program"', False),
        ('"yes one | grep -q one"', True),  # yes surely gets SIGPIPE
        ('"false | true"', False),
    ],
)
def test_the_forms_of_check(project, check, satisfied):
    """A check is a script, or a function that returns a boolean or a script."""
    project.manifest('packages = { { recipe = "local.driver@r1", options = { kind = "a" } } }')
    project.recipe("local.driver@r1", f'check = {check}\ninstall = "true"')
    run = project.envy("sync", code=0 if satisfied else 1)
    assert bool(run.named("recipe_complete", outcome="satisfied")) == satisfied


def test_a_check_that_returns_nothing_is_an_error(project):
    """A check function without a return value is an error, and not an answer."""
    project.packages("local.driver@r1")
    project.recipe("local.driver@r1", 'check = function() end\ninstall = "true"')
    run = project.envy("sync", "--yes", code=1)
    assert "`check` must return true, false, or a script" in run.err


# -- the user is asked --------------------------------------------------------------------------


def test_without_a_terminal_all_are_listed_and_none_installed(project, machine):
    """Without a terminal, an error lists the packages and says how to allow the installs."""
    plan(project, machine, "driver", "group")
    run = project.envy("sync", code=1)
    for hint in ("local.driver@r1", "local.group@r1", "--yes", "ENVY_YES=1"):
        assert hint in run.err
    assert noted(machine, "installs") == []


@pytest.mark.parametrize(
    ("words", "variables"),
    [(["--yes"], {}), (["-y"], {}), ([], {"ENVY_YES": "1"}), (["--yes"], {"ENVY_YES": "0"})],
)
def test_consent_can_be_given_beforehand(project, machine, words, variables):
    """--yes and ENVY_YES answer for all packages of the run."""
    plan(project, machine, "driver", "group")
    project.envy("sync", *words, env=variables)
    assert sorted(noted(machine, "installs")) == ["driver", "group"]


def test_a_variable_can_say_no(project, machine):
    """ENVY_YES=0 does not allow an install."""
    plan(project, machine, "driver")
    project.envy("sync", env={"ENVY_YES": "0"}, code=1)
    assert noted(machine, "installs") == []


def sync_on_terminal(project, answer):
    """Sync, type an answer to each question, and return the output and the exit code."""
    terminal, end = pty.openpty()
    process = project.popen("sync", stdin=end, stderr=end, env={"TERM": "dumb"})
    os.close(end)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed: it has ended
            break
        if shown.endswith(b"[y/N] "):
            os.write(terminal, answer + b"\n")
            shown += b"|"
    process.communicate(timeout=300)
    os.close(terminal)
    return shown.decode(), process.returncode


def test_on_a_terminal_one_yes_installs_all(project, machine):
    """The question lists every package and is asked once; `y` allows all of them."""
    plan(project, machine, "driver", "group")
    shown, code = sync_on_terminal(project, b"y")
    assert code == 0, shown
    assert shown.count("[y/N]") == 1
    question = shown.partition("[y/N]")[0]
    assert "local.driver@r1" in question
    assert "local.group@r1" in question
    assert sorted(noted(machine, "installs")) == ["driver", "group"]


@pytest.mark.parametrize("answer", [b"n", b""])
def test_on_a_terminal_anything_but_yes_installs_nothing(project, machine, answer):
    """`n` and an empty line decline; packages that need no consent are installed nevertheless."""
    plan(project, machine, "driver", "group")
    project.packages("local.driver@r1", "local.group@r1", "local.plain@r1")
    project.recipe("local.plain@r1", 'install = "echo plain > plain.txt"')
    shown, code = sync_on_terminal(project, answer)
    assert code == 1
    assert shown.count("[y/N]") == 1
    assert noted(machine, "installs") == []
    assert project.markers() == ["local.plain@r1"]


# -- its workspace ------------------------------------------------------------------------------


def test_its_workspace_is_removed(project, machine):
    """tmp_dir exists during the install; afterwards the cache has no entry."""
    project.packages("local.driver@r1")
    project.recipe(
        "local.driver@r1",
        f"""check = "test -e {machine}/driver"
        install = function(ctx)
          ctx.run("echo x > " .. ctx.tmp_dir .. "/scratch && touch {machine}/driver")
        end""",
    )
    project.envy("sync", "--yes")
    assert project.entries() == []


def test_its_workspace_is_removed_after_a_failure(project, machine):
    """A failing install leaves no entry either."""
    plan(project, machine, "driver", install="exit 3")
    run = project.envy("sync", "--yes", code=1)
    assert "exited 3" in run.err
    assert project.entries() == []
    assert project.held_locks() == []


def test_its_install_runs_in_the_project_with_the_users_environment(project, machine):
    """The install inherits all variables, and runs in the project's root."""
    project.packages("local.driver@r1")
    project.recipe(
        "local.driver@r1",
        f'check = "test -e {machine}/$DRIVER"\ninstall = "pwd > {machine}/$DRIVER"',
    )
    project.envy("sync", "--yes", env={"DRIVER": "some-name"})
    assert (machine / "some-name").read_text() == f"{project.root}\n"


@pytest.mark.parametrize("call", ['fetch("x")', 'extract("x")', 'copy("a", "b")', "install_dir"])
def test_functions_of_the_cache_are_refused(project, machine, call):
    """Functions and folders of cache-managed packages are errors that say why."""
    project.packages("local.driver@r1")
    project.recipe(
        "local.driver@r1",
        f'check = "false"\ninstall = function(ctx) return ctx.{call} end',
    )
    run = project.envy("sync", "--yes", code=1)
    assert "is user-managed (it has a check)" in run.err
    assert "into another recipe" in run.err.replace("\n", " ")


# -- what it needs ------------------------------------------------------------------------------


def test_build_dependencies_are_installed_only_when_its_check_fails(project, machine):
    """A satisfied package needs no build dependencies; an unsatisfied package gets them first."""
    project.packages("local.driver@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    needs = 'dependencies = { { recipe = "local.tool@r1", use = "build", needed_by = "install" } }'
    project.recipe(
        "local.driver@r1",
        f"""check = "test -e {machine}/driver"
        install = function(ctx)
          ctx.run("cp " .. ctx.asset("tool") .. "/tool.txt {machine}/driver")
        end
        {needs}""",
    )
    (machine / "driver").touch()
    project.envy("sync")
    assert project.markers() == []
    (machine / "driver").unlink()
    project.envy("sync", "--yes")
    assert project.markers() == ["local.tool@r1"]
    assert (machine / "driver").read_text() == "tool\n"


def test_run_dependencies_of_a_satisfied_package_are_installed(project, machine):
    """Run dependencies are installed although the check succeeds."""
    project.packages("local.driver@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    needs = 'dependencies = { "local.tool@r1" }'
    project.recipe("local.driver@r1", managed(machine, "driver", extra=needs))
    (machine / "driver").touch()
    project.envy("sync")
    assert project.markers() == ["local.tool@r1"]


def test_products_may_be_found_by_running_programs(project, machine):
    """A products function runs once the check succeeds; dependents get its values unchanged."""
    project.packages("local.app@r1")
    project.recipe(
        "local.driver@r1",
        managed(
            machine,
            "driver",
            extra="""products = function(ctx, opts)
              local found = ctx.run("command -v sh", { capture = true })
              return { shell = (found.stdout:gsub("%s+$", "")) }
            end""",
        ),
    )
    project.recipe(
        "local.app@r1",
        """dependencies = { "local.driver@r1" }
        install = function(ctx) ctx.write("shell.txt", ctx.product("shell")) end""",
    )
    project.envy("sync", "--yes")
    folder = project.envy("asset", "app", "--yes").out.strip()
    assert (Path(folder) / "shell.txt").read_text().endswith("/sh")


def test_deploy_follows_an_install(project, machine):
    """A deploy runs after an install, and not if the check succeeded from the start."""
    deploy = f'deploy = function(ctx) ctx.run("echo deployed >> {machine}/deploys") end'
    plan(project, machine, "driver", extra=deploy)
    project.envy("sync", "--yes")
    project.envy("sync")
    assert noted(machine, "deploys") == ["deployed"]


# -- one at a time ------------------------------------------------------------------------------


def test_two_processes_install_it_once(project, machine, tmp_path):
    """The process that gets the lock second checks again and finds the package installed."""
    reached, go = tmp_path / "reached.fifo", tmp_path / "go.fifo"
    os.mkfifo(reached)
    os.mkfifo(go)
    plan(project, machine, "driver", install=f"echo x > {reached}; read x < {go}")
    first = project.popen("sync", "--yes")
    reached.read_text()
    second = project.popen("sync", "--yes", "--trace=stderr")
    report_of_lock(second)
    go.write_text("x\n")
    first.communicate(timeout=300)
    _, err = second.communicate(timeout=300)
    assert (first.returncode, second.returncode) == (0, 0)
    assert noted(machine, "installs") == ["driver"]
    assert b"local.driver@r1: satisfied" in err


def test_exclusive_lets_one_install_at_a_time(project, machine, tmp_path):
    """Packages of two projects with the same `exclusive` name wait for each other."""
    reached, go = tmp_path / "reached.fifo", tmp_path / "go.fifo"
    os.mkfifo(reached)
    os.mkfifo(go)
    exclusive = 'exclusive = "apt"'
    waits = f"echo x > {reached}; read x < {go}"
    plan(project, machine, "driver", extra=exclusive, install=waits)
    other = Project(tmp_path / "other", cache=project.cache)
    plan(other, machine, "group", extra=exclusive)
    first = project.popen("sync", "--yes")
    reached.read_text()
    second = other.popen("sync", "--yes", "--trace=stderr")
    assert "exclusive/apt.lock" in report_of_lock(second)
    go.write_text("x\n")
    first.communicate(timeout=300)
    second.communicate(timeout=300)
    assert (first.returncode, second.returncode) == (0, 0)
    assert noted(machine, "installs") == ["driver", "group"]


def test_an_orphan_ends_before_the_next_install_of_an_exclusive_name(project, machine, tmp_path):
    """Processes that a killed envy left under a name are ended before another install begins."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes that left their group cannot be found here")
    reached = tmp_path / "reached.fifo"
    os.mkfifo(reached)
    exclusive = 'exclusive = "apt"'
    # A process that stays in the group of its script, and a daemon, which leaves the group.
    stays = f"setsid sh -c 'echo $$ > {reached}; exec sleep 600' & echo $$ > {reached}; sleep 600"
    plan(project, machine, "driver", extra=exclusive, install=stays)
    with reached.open("r+b", buffering=0) as told:  # for both, who may write at any time
        first = project.popen("sync", "--yes")
        lines = b""
        while lines.count(b"\n") < 2:
            lines += told.read(100)
    orphans = [int(line) for line in lines.split()]
    first.kill()
    first.communicate(timeout=300)
    assert all(map(is_running, orphans))
    other = Project(tmp_path / "other", cache=project.cache)
    at_work = " ".join(f"/proc/{pid}/status" for pid in orphans)
    look = f"cat {at_work} 2>/dev/null | grep State: | grep -v Z >> {machine}/overlaps || true"
    plan(other, machine, "group", extra=exclusive, install=look)
    try:
        other.envy("sync", "--yes")
        assert noted(machine, "installs") == ["group"]
        assert (machine / "overlaps").read_text() == ""
        assert not any(map(is_running, orphans))
    finally:
        for pid in filter(is_running, orphans):
            os.kill(pid, signal.SIGKILL)


def test_different_exclusive_names_do_not_wait(project, machine, tmp_path):
    """Installs under two names run at the same time."""
    here, there = tmp_path / "here.fifo", tmp_path / "there.fifo"
    os.mkfifo(here)
    os.mkfifo(there)
    project.packages("local.driver@r1", "local.group@r1")
    meetings = {"driver": f"echo x > {here}; read x < {there}"}
    meetings["group"] = f"read x < {here}; echo x > {there}"
    for name, meeting in meetings.items():
        body = managed(machine, name, extra=f'exclusive = "{name}"', install=meeting)
        project.recipe(f"local.{name}@r1", body)
    project.envy("sync", "--yes", "--jobs", "2")
    assert sorted(noted(machine, "installs")) == ["driver", "group"]


def test_waiting_for_an_exclusive_name_takes_no_slot(project, machine, tmp_path):
    """While a package waits for the name, another package gets its slot."""
    here, there = tmp_path / "here.fifo", tmp_path / "there.fifo"
    os.mkfifo(here)
    os.mkfifo(there)
    project.packages("local.driver@r1", "local.group@r1", "local.plain@r1")
    exclusive = 'exclusive = "apt"'
    # Only one of the two overlaps with `plain` while the other waits, so `plain` had its slot.
    meeting = f"if mkdir {machine}/first; then echo x > {here}; read x < {there}; fi 2>/dev/null"
    for name in ("driver", "group"):
        body = managed(machine, name, extra=exclusive, install=meeting)
        project.recipe(f"local.{name}@r1", body)
    project.recipe("local.plain@r1", f'install = "read x < {here}; echo x > {there}; touch plain"')
    project.envy("sync", "--yes", "--jobs", "2")
    assert sorted(noted(machine, "installs")) == ["driver", "group"]
