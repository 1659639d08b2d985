"""One budget of jobs for envy and the tools in recipes: real make, ninja and C compiler."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from mistakes import assert_clean, interrupt, left_running
from project import envy_command

NEEDS_CARGO = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")

# A program that starts make and lets it inherit its descriptors.
PYTHON = """ctx.run("import subprocess as s; s.check_call(['make'], close_fds=False)",
    { shell = { file = "python3", ext = ".py" } })"""

# A compiler that says when it begins and when it has ended.
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
    """A file that says who began and who ended; and a compiler that writes it."""
    path = tmp_path / "log"
    path.write_text("")
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER.format(log=path))
    compiler.chmod(0o755)
    return path


def most_at_once(log):
    """The largest number of those who had begun and not ended."""
    most = now = 0
    for line in log.read_text().split():
        now += 1 if line == "+" else -1
        most = max(most, now)
    assert now == 0, "not all have ended"
    return most


def build_in_lua(name, text, files, command):
    """The build of a recipe that writes a file and some C sources, and runs a command."""
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
    """A fetch, under a slot of its own, that waits until so many compilers have begun."""
    wait = f"until [ $(grep -c + {log}) -ge {begun} ]; do sleep 0.01; done; touch f"
    return f"""fetch = function(ctx)
  ctx.run("{wait}")
  ctx.commit_fetch("f")
end
"""


def rendezvous(count, *, tail=""):
    """A Makefile whose jobs each wait until so many have begun: it ends only if they may."""
    names = " ".join(f"t{n}" for n in range(count))
    wait = f"while [ $$(wc -l < begun) -lt {count} ]; do sleep 0.02; done"
    return f"all: {names}\nt%:\n\t@echo >> begun; {wait}{tail}\n"


def meets(count, **details):
    """A recipe with such a Makefile."""
    return build_in_lua("Makefile", rendezvous(count, **details), 0, 'ctx.exec { "make" }')


def log_of(project, identity, phase="build"):
    [path] = project.cache.glob(f"logs/{identity}/*/*/{phase}.log")
    return path.read_text()


def fifos(project):
    return sorted(path.name for path in project.cache.glob("jobservers/*"))


@pytest.mark.parametrize("jobs", [1, 2, 3, 4])
def test_no_more_compilers_than_jobs_over_recipes_with_make(project, log, jobs):
    """Recipes that run make, and a make in it, start --jobs compilers at once together.

    Two of them are late: they ask for a slot while the makes of the others are at work.
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
    """The ninja that ships with envy shares with another, and with make."""
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
    said = log_of(project, "local.n1@r1")
    assert "Jobserver mode detected" in said
    assert "warning" not in said


@NEEDS_CARGO
def test_cargo_takes_part(project):
    """A crate's build script is told by cargo of the jobserver that envy has."""
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
def test_one_make_has_all_jobs_that_nobody_else_uses(project, command):
    """However it is started, three jobs of one make wait for each other, and meet."""
    body = build_in_lua("Makefile", rendezvous(3), 0, command)
    project.sync_one(body, "--jobs", "3", timeout=60)
    assert "jobserver" not in log_of(project, "local.one@r1")


@pytest.mark.parametrize("phase", ["stage", "build", "install"])
def test_every_phase_that_builds_shares(project, phase):
    """A script of stage, build or install has the jobserver, and its tools use it."""
    verbs = {"stage": "mkdir s", "build": "mkdir b", "install": "touch done"}
    makefile = rendezvous(2).replace("\n", "\\n").replace("\t", "\\t").replace("'", "'\\''")
    verbs[phase] += f"; printf '%b' '{makefile}' > Makefile; make"
    body = "\n".join(f"{verb} = [[{text}]]" for verb, text in verbs.items())
    project.sync_one(body, "--jobs", "2", timeout=60)


def test_an_interactive_run_shares(project):
    """A program that has the terminal inherits the descriptors, too."""
    import pty

    project.recipe(
        "local.one@r1",
        build_in_lua("Makefile", rendezvous(2), 0, 'ctx.run("make", { interactive = true })'),
    )
    project.packages("local.one@r1")
    master, slave = pty.openpty()
    process = project.popen("sync", "--jobs", "2", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    try:
        while piece := os.read(master, 4096):
            said += piece
    except OSError:
        pass  # the other end is closed
    os.close(master)
    assert process.wait(timeout=60) == 0, said
    assert b"jobserver" not in said


def test_who_says_make_j_gets_that_and_a_warning_of_make(project):
    """An explicit number is obeyed by make, outside of the budget, and make says so."""
    command = 'ctx.exec { "make", "-j3" }'
    project.make(build_in_lua("Makefile", rendezvous(3), 0, command), timeout=60)
    assert "-j3 forced in submake" in log_of(project, "local.one@r1")


# -- who is told of it -----------------------------------------------------------------------------


def seen(path):
    """MAKEFLAGS as a script wrote it down."""
    return path.read_text().strip()


def test_only_phases_that_build_are_told(project, tmp_path):
    """fetch, check and deploy have the MAKEFLAGS of the user, which the others have not."""
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
def test_a_user_managed_install_has_what_the_user_set(project, tmp_path, makeflags, expected):
    """It inherits the user's environment; where that says nothing, envy does."""
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
def test_what_a_recipe_says_itself_wins(project, body, outer, expected):
    """pass_env, or an env of its own, is what its scripts get."""
    script = '[[echo "$MAKEFLAGS" > seen]]'
    env = {} if outer is None else {"MAKEFLAGS": outer}
    folder = project.make(body.replace("SCRIPT", script), env=env)
    assert seen(folder / "seen") == expected


def test_neither_jobs_nor_makeflags_are_part_of_a_key(project):
    """A package that was built with one number of jobs is there for every other."""
    project.make("build = 'make --version'\ninstall = 'touch x'")
    for words, env in ((("--jobs", "1"), {}), ((), {"MAKEFLAGS": "-j3 --jobserver-auth=3,4"})):
        run = project.envy("sync", "--verbose", *words, env=env)
        assert "1 cached" in run.err + run.out


def test_a_run_without_scripts_makes_nothing(project):
    """Neither packages that only mark themselves nor user-managed checks cost a FIFO."""
    project.recipe("local.a@r1", "install = function(ctx) ctx.mark_install_complete() end")
    project.recipe("local.b@r1", 'check = "true"\ninstall = "true"')
    project.packages("local.a@r1", "local.b@r1")
    project.envy("sync")
    assert not (project.cache / "jobservers").exists()


def test_a_cache_below_a_name_with_a_space_shares_too(tmp_path):
    """MAKEFLAGS cannot say such a path; the descriptors do."""
    from project import Project

    project = Project(tmp_path / "project", cache=tmp_path / "my cache")
    project.sync_one(meets(3), "--jobs", "3", timeout=60)
    assert "jobserver" not in log_of(project, "local.one@r1")


# -- waiting, and what is lost ---------------------------------------------------------------------


@pytest.fixture
def busy(project):
    """A make with two jobs that wait for the test, and a recipe that is late; with its files."""
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
    """The trace and SIGUSR1 tell why it waits; it goes on when a job of make ends."""
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
    assert left_running(project) != []  # make, with its other job
    paths["leave2"].write_text("x\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert fifos(project) == []


THIEF = """
fifo=${MAKEFLAGS##*fifo:}; fifo=${fifo%% *}
head -c 2 "$fifo" > stolen
test "$(wc -c < stolen)" = 2
"""


def test_what_a_script_takes_along_is_there_for_the_next(project):
    """One that ends with all tokens in hand costs the next nothing: three jobs meet."""
    project.recipe("local.thief@r1", f"build = [[{THIEF}]]\ninstall = 'touch x'")
    project.recipe(
        "local.next@r1",
        'dependencies = { { recipe = "local.thief@r1", needed_by = "build" } }\n' + meets(3),
    )
    project.packages("local.next@r1", "local.thief@r1")
    project.envy("sync", "--jobs", "3", timeout=60)


def test_a_failing_make_leaves_nothing(project, log):
    """Others go on with all jobs, and the FIFO is gone."""
    project.recipe(
        "local.bad@r1",
        build_in_lua("Makefile", rendezvous(2, tail="; false"), 0, 'ctx.exec { "make" }'),
    )
    project.recipe("local.good@r1", make_recipe(log))
    project.packages("local.bad@r1", "local.good@r1")
    run = project.envy("sync", "--jobs", "3", code=1, timeout=60)
    assert project.markers() == ["local.good@r1"]
    assert "1 failed" in run.err + run.out
    assert most_at_once(log) <= 3
    assert fifos(project) == []


def test_an_interrupt_leaves_nothing(project):
    """Ctrl-C while make has tokens: make is ended, and the FIFO is gone."""
    tail = "; echo met; while :; do read x < never; done"
    body = build_in_lua("Makefile", rendezvous(2, tail=tail), 0, 'ctx.run("mkfifo never; make")')
    project.recipe("local.one@r1", body)
    project.packages("local.one@r1")
    interrupt(project, "sync", "--jobs", "2", once="local.one@r1 | met")
    assert fifos(project) == []


def test_a_killed_envy_leaves_what_the_next_one_clears_away(busy):
    """After kill -9 a FIFO stays that means nothing to anybody; the next run removes it."""
    project, paths = busy
    process = project.popen("sync", "busy", "--jobs", "2")
    paths["begun1"].read_text()
    paths["begun2"].read_text()
    process.kill()
    process.communicate()
    assert len(fifos(project)) == 1
    # The orphaned make is ended by whoever takes its entry up, and with it the FIFO's last user.
    process = project.popen("sync", "busy", "--jobs", "2")
    paths["begun1"].read_text()
    paths["begun2"].read_text()
    assert len(fifos(project)) == 1
    paths["leave1"].write_text("x\n")
    paths["leave2"].write_text("x\n")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert_clean(project, "", markers=["local.busy@r1"])
    assert fifos(project) == []


# -- envy under a make -----------------------------------------------------------------------------


def outer_make(project, rule, *words, **variables):
    """A make around envy, whose other job is a compiler that never ends before envy has."""
    makefile = project.root.parent / "outer.mk"
    makefile.write_text(f"all: sync\nsync:\n\t{rule}\n")
    made = subprocess.run(
        ["make", "-f", makefile, *words],
        cwd=project.root,
        env=project.environment({"ENVY": envy_command(), **variables}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made


@pytest.fixture
def two_makes(project, log):
    names = ("local.m1@r1", "local.m2@r1")
    for name in names:
        project.recipe(name, make_recipe(log))
    project.packages(*names)
    return project, log


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_envy_under_make_takes_part_in_its_jobs(two_makes):
    """`+envy sync` in a make -j2: two compilers at once, whatever the number of processors."""
    project, log = two_makes
    made = outer_make(project, "+$(ENVY) sync", "-j2")
    assert log.read_text().count("+") == 20
    assert most_at_once(log) <= 2
    assert "jobserver" not in made.stderr
    for name in ("local.m1@r1", "local.m2@r1"):
        assert "jobserver" not in log_of(project, name)
    assert not (project.cache / "jobservers").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_all_jobs_of_an_outer_make_are_used(project):
    """Three jobs of the outer make meet in a make in a recipe."""
    project.recipe("local.one@r1", meets(3))
    project.packages("local.one@r1")
    outer_make(project, "+$(ENVY) sync", "-j3")


def test_an_outer_make_that_keeps_its_jobs_is_ignored(two_makes):
    """Without `+` the descriptors are closed: envy has a budget of its own, without a warning."""
    project, log = two_makes
    made = outer_make(project, "$(ENVY) sync", "-j2")
    assert log.read_text().count("+") == 20
    assert "jobserver" not in made.stderr
    assert "jobserver" not in log_of(project, "local.m1@r1")
    assert (project.cache / "jobservers").exists()


def test_who_says_jobs_under_make_has_a_budget_of_its_own(project):
    """--jobs 3 under make -j2: three jobs meet."""
    project.recipe("local.one@r1", meets(3))
    project.packages("local.one@r1")
    outer_make(project, "+$(ENVY) sync --jobs 3", "-j2")


def test_an_outer_jobserver_is_part_of_no_key(project):
    """pass_env = { "MAKEFLAGS" } under make: the package is the same, run after run."""
    project.recipe("local.one@r1", 'pass_env = { "MAKEFLAGS" }\ninstall = "echo $MAKEFLAGS > x"')
    project.packages("local.one@r1")
    project.envy("sync")
    made = outer_make(project, "+$(ENVY) sync", "-j2")
    assert "(1 cached)" in made.stdout + made.stderr


def test_a_program_that_envy_runs_has_the_outer_jobserver(project):
    """`+envy run -- make` in a make -j3 is as if make had started make: three jobs meet."""
    project.packages()
    project.write("inner.mk", rendezvous(3))
    made = outer_make(project, "+$(ENVY) run -- make -f inner.mk", "-j3")
    assert "jobserver" not in made.stderr


def test_an_envy_in_a_recipe_takes_part_in_the_jobs_of_the_outer(project, second_project, log):
    """A sync in a script of a sync: --jobs 2 of the outer one hold for both."""
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
