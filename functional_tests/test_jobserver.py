"""One limit on jobs for envy and the tools in recipes: real make, ninja and C compiler."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from mistakes import assert_clean, interrupt
from project import envy_command

# A program that starts make and lets it inherit its descriptors.
PYTHON = """ctx.run("import subprocess as s; s.check_call(['make'], close_fds=False)",
    { shell = { file = "python3", ext = ".py" } })"""

# A compiler that logs when it starts and when it ends.
COMPILER = """#!/bin/sh
echo + >> {log}
cc "$@"
code=$?
echo - >> {log}
exit $code
"""
MAKEFILE = """\
all: {objects} sub
sub:
\t@$(MAKE) more
more: {more}
%.o: %.c
\t{compiler} -c $< -o $@
"""
NINJA = """\
rule cc
  command = {compiler} -c $in -o $out
"""


@pytest.fixture
def log(tmp_path):
    """The log of starts and ends; beside it is a compiler that writes it."""
    path = tmp_path / "log"
    path.write_text("")
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER.format(log=path))
    compiler.chmod(0o755)
    return path


def most_at_once(log):
    """Return the largest number of compilers that ran at the same time."""
    most = now = 0
    for line in log.read_text().split():
        now += 1 if line == "+" else -1
        most = max(most, now)
    assert now == 0, "not all compilers have ended"
    return most


def build_in_lua(name, text, files, command):
    """Return the build of a recipe that writes a file and C sources, and runs a command."""
    return f"""build = function(ctx)
  ctx.write("{name}", [[{text}]])
  for n = 1, {files} do ctx.write("f" .. n .. ".c", "int f" .. n .. "(void) {{ return 1; }}") end
  {command}
end
install = "touch done"
"""


def make_recipe(log, command='ctx.exec { "make" }'):
    text = MAKEFILE.format(
        compiler=log.parent / "compiler",
        objects=" ".join(f"f{n}.o" for n in range(1, 7)),
        more=" ".join(f"f{n}.o" for n in range(7, 11)),
    )
    return build_in_lua("Makefile", text, 10, command)


def late_fetch(log, begun):
    """Return a fetch, in a slot of its own, that waits until so many compilers have started."""
    wait = f"until [ $(grep -c + {log}) -ge {begun} ]; do sleep 0.01; done; touch f"
    return f"""fetch = function(ctx)
  ctx.run("{wait}")
  ctx.commit_fetch("f")
end
"""


def rendezvous(count, *, tail=""):
    """Return a Makefile with `count` jobs that end only when all of them have started."""
    names = " ".join(f"t{n}" for n in range(count))
    wait = f"while [ $$(wc -l < begun) -lt {count} ]; do sleep 0.02; done"
    return f"all: {names}\nt%:\n\t@echo >> begun; {wait}{tail}\n"


def rendezvous_recipe(count, **details):
    """Return a recipe with such a Makefile."""
    return build_in_lua("Makefile", rendezvous(count, **details), 0, 'ctx.exec { "make" }')


def log_of(project, identity, phase="build"):
    [path] = project.cache.glob(f"logs/{identity}/*/*/{phase}.log")
    return path.read_text()


def fifos(project):
    return sorted(path.name for path in project.cache.glob("jobservers/*"))


@pytest.mark.parametrize("jobs", [1, 2, 3, 4])
def test_no_more_compilers_than_jobs_over_recipes_with_make(project, log, jobs):
    """Recipes that run make, and a make in it, together run at most --jobs compilers.

    Two recipes are late: they request a slot while the makes of the others run.
    """
    names = [f"local.m{number}@r1" for number in range(4)]
    for name, late in zip(names, (0, 0, 3, 13), strict=True):
        project.recipe(name, (late_fetch(log, late) if late else "") + make_recipe(log))
    project.packages(*names)
    project.envy("sync", "--jobs", str(jobs))
    assert log.read_text().count("+") == 40
    assert most_at_once(log) <= jobs
    for name in names:
        assert "jobserver" not in log_of(project, name)
        assert "warning" not in log_of(project, name)
    assert fifos(project) == []


@pytest.mark.network
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_more_compilers_than_jobs_over_recipes_with_ninja(project, log, jobs):
    """The ninja that ships with envy shares jobs with another ninja, and with make."""
    rules = NINJA.format(compiler=log.parent / "compiler")
    rules += "".join(f"build f{n}.o: cc f{n}.c\n" for n in range(1, 11))
    needs = 'dependencies = { { recipe = "envy.ninja@r1", needed_by = "build", use = "build" } }\n'
    for name in ("local.n1@r1", "local.n2@r1"):
        body = build_in_lua("build.ninja", rules, 10, 'ctx.exec { "ninja", "-v" }')
        project.recipe(name, needs + body)
    project.recipe("local.m@r1", make_recipe(log))
    project.packages("local.n1@r1", "local.n2@r1", "local.m@r1")
    project.envy("sync", "--jobs", str(jobs))
    assert log.read_text().count("+") == 30
    assert most_at_once(log) <= jobs
    output = log_of(project, "local.n1@r1")
    assert "Jobserver mode detected" in output
    assert "warning" not in output


@pytest.mark.needs("cargo")
def test_cargo_shares_jobs(project):
    """cargo passes envy's jobserver to the build script of a crate."""
    manifest = '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n'
    tell = 'fn main() { println!("cargo:warning={}", std::env::var("CARGO_MAKEFLAGS").unwrap()); }'
    environment = 'env = { CARGO_HOME = ctx.stage_dir .. "/home" }'
    project.make(
        f"""pass_env = {{ "RUSTUP_HOME", "RUSTUP_TOOLCHAIN" }}
build = function(ctx)
  ctx.write("Cargo.toml", [[{manifest}]])
  ctx.write("build.rs", [[{tell}]])
  ctx.write("src/main.rs", "fn main() {{}}")
  ctx.exec({{ "cargo", "build", "--offline" }}, {{ {environment} }})
end
install = "touch done\"""",
        env={"RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))},
    )
    assert f"fifo:{project.cache}/jobservers/" in log_of(project, "local.one@r1")
    assert "failed to connect to jobserver" not in log_of(project, "local.one@r1")


@pytest.mark.parametrize(
    "command",
    [
        'ctx.exec { "make" }',
        'ctx.run("make")',
        'ctx.run({ "true", "make" }, { shell = ENVY_SHELL.SH, capture = true })',
        PYTHON,
    ],
)
def test_one_make_gets_all_free_jobs(project, command):
    """However make is started, three of its jobs run at the same time."""
    body = build_in_lua("Makefile", rendezvous(3), 0, command)
    project.sync_one(body, "--jobs", "3", timeout=300)
    assert "jobserver" not in log_of(project, "local.one@r1")


@pytest.mark.parametrize("phase", ["stage", "build", "install"])
def test_every_build_phase_shares_jobs(project, phase):
    """Tools in scripts of stage, build and install use the jobserver."""
    verbs = {"stage": "mkdir s", "build": "mkdir b", "install": "touch done"}
    makefile = rendezvous(2).replace("\n", "\\n").replace("\t", "\\t").replace("'", "'\\''")
    verbs[phase] += f"; printf '%b' '{makefile}' > Makefile; make"
    body = "\n".join(f"{verb} = [[{text}]]" for verb, text in verbs.items())
    project.sync_one(body, "--jobs", "2", timeout=300)


def test_an_interactive_run_shares_jobs(project):
    """A program that has the terminal inherits the descriptors too."""
    import pty

    project.recipe(
        "local.one@r1",
        build_in_lua("Makefile", rendezvous(2), 0, 'ctx.run("make", { interactive = true })'),
    )
    project.packages("local.one@r1")
    master, slave = pty.openpty()
    process = project.popen("sync", "--jobs", "2", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    try:
        while piece := os.read(master, 4096):
            output += piece
    except OSError:
        pass  # the process has ended
    os.close(master)
    assert process.wait(timeout=300) == 0, output
    assert b"jobserver" not in output


def test_an_explicit_make_j_is_obeyed_with_a_warning(project):
    """make -j3 runs three jobs outside of the limit, and make warns about it."""
    command = 'ctx.exec { "make", "-j3" }'
    project.make(build_in_lua("Makefile", rendezvous(3), 0, command), timeout=300)
    assert "-j3 forced in submake" in log_of(project, "local.one@r1")


# -- who gets the jobserver ------------------------------------------------------------------------


def seen(path):
    """Return the MAKEFLAGS that a script wrote to a file."""
    return path.read_text().strip()


def test_only_build_phases_get_the_jobserver(project, tmp_path):
    """stage, build and install get the jobserver; fetch and deploy get the user's MAKEFLAGS."""
    verbs = "".join(
        f'{verb} = "echo \\"$MAKEFLAGS\\" > {tmp_path}/{verb}; touch x"\n'
        for verb in ("stage", "build", "install")
    )
    verbs += "".join(
        f'{verb} = function(ctx) ctx.run("echo \\"$MAKEFLAGS\\" > {tmp_path}/{verb}") end\n'
        for verb in ("fetch", "deploy")
    )
    project.make(verbs, env={"MAKEFLAGS": "-k"})
    for verb in ("fetch", "deploy"):
        assert seen(tmp_path / verb) == "-k"
    for verb in ("stage", "build", "install"):
        assert f"--jobserver-auth=fifo:{project.cache}/jobservers/" in seen(tmp_path / verb)


@pytest.mark.parametrize(
    ("makeflags", "expected"), [("-j7 -k", "-j7 -k"), ("", ""), (None, "--jobserver-auth=")]
)
def test_a_user_managed_install_gets_the_users_makeflags(project, tmp_path, makeflags, expected):
    """A user-managed install gets the user's MAKEFLAGS, or else the jobserver."""
    flag = tmp_path / "flag"
    body = f'check = "test -e {flag}"\ninstall = "echo \\"$MAKEFLAGS\\" > {flag}"'
    project.sync_one(body, "--yes", env={} if makeflags is None else {"MAKEFLAGS": makeflags})
    assert expected in seen(flag) if expected else not seen(flag)


@pytest.mark.parametrize(
    ("body", "outer", "expected"),
    [
        ('pass_env = { "MAKEFLAGS" }\ninstall = SCRIPT', "-j5", "-j5"),
        (
            'install = function(ctx) ctx.run(SCRIPT, { env = { MAKEFLAGS = "-k" } }) end',
            None,
            "-k",
        ),
        ('install = function(ctx) ctx.run(SCRIPT, { env = { MAKEFLAGS = "" } }) end', None, ""),
    ],
)
def test_makeflags_of_a_recipe_take_precedence(project, body, outer, expected):
    """MAKEFLAGS in pass_env or in an `env` take precedence over the jobserver."""
    script = '[[echo "$MAKEFLAGS" > seen]]'
    env = {} if outer is None else {"MAKEFLAGS": outer}
    folder = project.make(body.replace("SCRIPT", script), env=env)
    assert seen(folder / "seen") == expected


def test_neither_jobs_nor_makeflags_are_part_of_a_key(project):
    """A package that was built with one number of jobs is cached for every other number."""
    project.make("build = 'make --version'\ninstall = 'touch x'")
    for words, env in ((("--jobs", "1"), {}), ((), {"MAKEFLAGS": "-j3 --jobserver-auth=3,4"})):
        run = project.envy("sync", "--verbose", *words, env=env)
        assert "1 cached" in run.err + run.out


def test_a_run_without_scripts_creates_no_fifo(project):
    """No FIFO is created for packages without scripts, or for user-managed checks."""
    project.recipe("local.a@r1", "install = function(ctx) ctx.mark_install_complete() end")
    project.recipe("local.b@r1", 'check = "true"\ninstall = "true"')
    project.packages("local.a@r1", "local.b@r1")
    project.envy("sync")
    assert not (project.cache / "jobservers").exists()


def test_a_cache_path_with_a_space_shares_jobs_too(tmp_path):
    """MAKEFLAGS cannot contain a path with a space, so descriptors are passed instead."""
    from project import Project

    project = Project(tmp_path / "project", cache=tmp_path / "my cache")
    project.sync_one(rendezvous_recipe(3), "--jobs", "3", timeout=300)
    assert "jobserver" not in log_of(project, "local.one@r1")


# -- waiting, and lost jobs ------------------------------------------------------------------------


@pytest.fixture
def busy(project):
    """A make with two jobs that wait for the test, and a late recipe; with their FIFOs."""
    paths = {
        name: project.root / name for name in ("begun1", "begun2", "leave1", "leave2", "arrive")
    }
    for path in paths.values():
        os.mkfifo(path)
    makefile = (
        f"all: 1 2\n1 2:\n\t@echo x > {project.root}/begun$@; read x < {project.root}/leave$@\n"
    )
    project.recipe("local.busy@r1", build_in_lua("Makefile", makefile, 0, 'ctx.exec { "make" }'))
    project.recipe(
        "local.late@r1",
        f"""fetch = function(ctx)
  ctx.run("read x < {paths["arrive"]}; echo x > f")
  ctx.commit_fetch("f")
end""",
    )
    project.packages("local.busy@r1", "local.late@r1")
    return project, paths


def lines_until(stream, word):
    lines = []
    while not lines or word not in lines[-1]:
        lines.append(stream.readline().decode())
        assert lines[-1], lines
    return lines


def test_a_recipe_that_waits_for_a_job_says_so_and_gets_one(busy):
    """The trace and SIGUSR1 say why a recipe waits; it continues when a job of make ends."""
    project, paths = busy
    process = project.popen("sync", "--jobs", "2", "--trace=stderr")
    paths["begun1"].read_text()
    paths["begun2"].read_text()
    paths["arrive"].write_text("x\n")
    [*_, refused] = lines_until(process.stderr, "waiting for a job of the work slots")
    assert "local.late@r1: " in refused
    assert "1 of 2 jobs (--jobs) are in use by tools, such as make" in refused
    process.send_signal(signal.SIGUSR1)
    [*_, report] = lines_until(process.stderr, "local.late@r1: waits before")
    assert "1 of 2 jobs (--jobs) are in use by tools, such as make" in report
    paths["leave1"].write_text("x\n")
    lines_until(process.stderr, "local.late@r1: completion done")
    assert process.poll() is None  # make still runs its other job
    paths["leave2"].write_text("x\n")
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert fifos(project) == []


TAKE_ALL_TOKENS = """
fifo=${MAKEFLAGS##*fifo:}; fifo=${fifo%% *}
head -c 2 "$fifo" > stolen
test "$(wc -c < stolen)" = 2
"""


def test_tokens_that_a_script_kept_are_restored(project):
    """Tokens that a script did not return are restored: the next make runs three jobs."""
    project.recipe("local.thief@r1", f"build = [[{TAKE_ALL_TOKENS}]]\ninstall = 'touch x'")
    project.recipe(
        "local.next@r1",
        'dependencies = { { recipe = "local.thief@r1", needed_by = "build" } }\n'
        + rendezvous_recipe(3),
    )
    project.packages("local.next@r1", "local.thief@r1")
    project.envy("sync", "--jobs", "3", timeout=300)


def test_a_failing_make_leaves_nothing(project, log):
    """After a make fails, other recipes get all jobs, and the FIFO is removed."""
    project.recipe(
        "local.bad@r1",
        build_in_lua("Makefile", rendezvous(2, tail="; false"), 0, 'ctx.exec { "make" }'),
    )
    project.recipe("local.good@r1", make_recipe(log))
    project.packages("local.bad@r1", "local.good@r1")
    run = project.envy("sync", "--jobs", "3", code=1, timeout=300)
    assert project.markers() == ["local.good@r1"]
    assert "1 failed" in run.err + run.out
    assert most_at_once(log) <= 3
    assert fifos(project) == []


def test_an_interrupt_leaves_nothing(project):
    """Ctrl-C while make has tokens ends make, and removes the FIFO."""
    tail = "; echo met; while :; do read x < never; done"
    body = build_in_lua("Makefile", rendezvous(2, tail=tail), 0, 'ctx.run("mkfifo never; make")')
    project.recipe("local.one@r1", body)
    project.packages("local.one@r1")
    interrupt(project, "sync", "--jobs", "2", once="local.one@r1 | met")
    assert fifos(project) == []


def test_the_fifo_of_a_killed_envy_is_removed(busy):
    """The FIFO of a killed envy is unused, and the next run removes it."""
    project, paths = busy
    process = project.popen("sync", "busy", "--jobs", "2")
    paths["begun1"].read_text()
    paths["begun2"].read_text()
    process.kill()
    process.communicate()
    assert len(fifos(project)) == 1
    # The run that takes over the entry ends the orphaned make, the last user of the old FIFO.
    process = project.popen("sync", "busy", "--jobs", "2")
    paths["begun1"].read_text()
    paths["begun2"].read_text()
    assert len(fifos(project)) == 1
    paths["leave1"].write_text("x\n")
    paths["leave2"].write_text("x\n")
    _, output = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_clean(project, "", markers=["local.busy@r1"])
    assert fifos(project) == []


# -- envy under a make -----------------------------------------------------------------------------


def outer_make(project, rule, *words, **variables):
    """Run envy in a rule of a Makefile."""
    makefile = project.root.parent / "outer.mk"
    makefile.write_text(f"all: sync\nsync:\n\t{rule}\n")
    outer = subprocess.run(
        ["make", "-f", makefile, *words],
        cwd=project.root,
        env=project.environment({"ENVY": envy_command(), **variables}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert outer.returncode == 0, outer.stderr
    return outer


@pytest.fixture
def two_makes(project, log):
    names = ("local.m1@r1", "local.m2@r1")
    for name in names:
        project.recipe(name, make_recipe(log))
    project.packages(*names)
    return project, log


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_envy_under_make_shares_its_jobs(two_makes):
    """`+envy sync` under make -j2 runs two compilers at once, however many processors there are."""
    project, log = two_makes
    outer = outer_make(project, "+$(ENVY) sync", "-j2")
    assert log.read_text().count("+") == 20
    assert most_at_once(log) <= 2
    assert "jobserver" not in outer.stderr
    for name in ("local.m1@r1", "local.m2@r1"):
        assert "jobserver" not in log_of(project, name)
    assert not (project.cache / "jobservers").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_all_jobs_of_an_outer_make_are_used(project):
    """Three jobs of the outer make are available to a make in a recipe."""
    project.recipe("local.one@r1", rendezvous_recipe(3))
    project.packages("local.one@r1")
    outer_make(project, "+$(ENVY) sync", "-j3")


def test_an_outer_make_that_keeps_its_jobs_is_ignored(two_makes):
    """Without `+` the descriptors are closed, so envy quietly uses a jobserver of its own."""
    project, log = two_makes
    outer = outer_make(project, "$(ENVY) sync", "-j2")
    assert log.read_text().count("+") == 20
    assert "jobserver" not in outer.stderr
    assert "jobserver" not in log_of(project, "local.m1@r1")
    assert (project.cache / "jobservers").exists()


def test_jobs_under_make_replaces_the_outer_jobserver(project):
    """--jobs 3 under make -j2 runs three jobs."""
    project.recipe("local.one@r1", rendezvous_recipe(3))
    project.packages("local.one@r1")
    outer_make(project, "+$(ENVY) sync --jobs 3", "-j2")


def test_an_outer_jobserver_is_not_part_of_a_key(project):
    """pass_env = { "MAKEFLAGS" } under make does not change the key from run to run."""
    project.recipe("local.one@r1", 'pass_env = { "MAKEFLAGS" }\ninstall = "echo $MAKEFLAGS > x"')
    project.packages("local.one@r1")
    project.envy("sync")
    outer = outer_make(project, "+$(ENVY) sync", "-j2")
    assert "(1 cached)" in outer.stdout + outer.stderr


def test_a_program_that_envy_runs_gets_the_outer_jobserver(project):
    """`+envy run -- make` under make -j3 runs three jobs, as if make had started make."""
    project.packages()
    project.write("inner.mk", rendezvous(3))
    outer = outer_make(project, "+$(ENVY) run -- make -f inner.mk", "-j3")
    assert "jobserver" not in outer.stderr


def test_an_envy_in_a_recipe_shares_the_jobs_of_the_outer_envy(project, second_project, log):
    """A sync in a script of a sync shares the --jobs of the outer sync."""
    for name in ("local.m1@r1", "local.m2@r1"):
        second_project.recipe(name, make_recipe(log))
    second_project.packages("local.m1@r1", "local.m2@r1")
    inner = f"{envy_command()} sync --manifest {second_project.root}/envy.lua"
    inner += f" --cache-root {project.root}/inner"
    project.recipe("local.inner@r1", f"build = [[{inner}]]\ninstall = 'touch x'")
    project.recipe("local.m@r1", make_recipe(log))
    project.packages("local.inner@r1", "local.m@r1")
    project.envy("sync", "--jobs", "2")
    assert log.read_text().count("+") == 30
    assert most_at_once(log) <= 2
    assert not list((project.root / "inner").glob("jobservers/*"))
