"""ctx.run and ctx.exec: where programs run, what the calls return, and what is an error."""

import os
from pathlib import Path

import pytest
from project import Project, is_running, tree

# What a case does in install, and what it writes into the file `result`.
CASES = {
    "a script": ('return ctx.run("echo x > f; exit 0").exit_code', "0"),
    "an array of lines": ('ctx.run({ "a=1", "echo $a > f" }) return ctx.read("f")', "1\n"),
    "captured output": (
        (
            'local r = ctx.run("echo out; echo err >&2", { capture = true }) '
            "return r.stdout .. r.stderr"
        ),
        "out\nerr\n",
    ),
    "output that is not captured": (
        (
            "local names = {} for name in pairs(ctx.run('true')) do names[#names + 1] = name end "
            "return table.concat(names)"
        ),
        "exit_code",
    ),
    "check switched off": ('return ctx.run("exit 7", { check = false }).exit_code', "7"),
    "a signal": ('return ctx.run("kill -9 $$", { check = false }).exit_code', "137"),
    "cwd below the run directory": (
        'ctx.mkdir("d") return ctx.run("basename $PWD", { cwd = "d", capture = true }).stdout',
        "d\n",
    ),
    "cwd elsewhere": (
        'return ctx.run("pwd", { cwd = "/", capture = true }).stdout',
        "/\n",
    ),
    "env adds": (
        ('return ctx.run("echo $A $B", { env = { A = "a b", B = 1 }, capture = true }).stdout'),
        "a b 1\n",
    ),
    "shell": (
        'return ctx.run("echo $0", { shell = ENVY_SHELL.SH, capture = true }).stdout',
        "sh\n",
    ),
    "shell given by its words": (
        (
            'local shell = { inline = { "sh", "-c" } } '
            'return ctx.run("exit 4", { shell = shell, check = false }).exit_code'
        ),
        "4",
    ),
    "shell given by a file": (
        (
            'return ctx.run("s/o/e/\\ns/x/y/", '
            '{ shell = { file = { "sh", "-c", "cat $0" }, ext = ".sed" }, capture = true }).stdout'
        ),
        "s/o/e/\ns/x/y/",
    ),
    "exec takes words": (
        'return ctx.exec({ "printf", "%s|", "a b", "$HOME", "*" }, { capture = true }).stdout',
        "a b|$HOME|*|",
    ),
    "exec with check off": ('return ctx.exec({ "false" }, { check = false }).exit_code', "1"),
    "standard input is empty": (
        'return ctx.run("cat; echo end", { capture = true }).stdout',
        "end\n",
    ),
    "a time limit that is kept": ('return ctx.run("true", { timeout = 60 }).exit_code', "0"),
    "opts and ctx.options are one table": ("return ctx.options == opts", "true"),
    "a long script": (
        (
            'return ctx.run(string.rep("# padding padding padding\\n", 8000) .. "echo done", '
            "{ capture = true }).stdout"
        ),
        "done\n",
    ),
    "an error that is caught": (
        (
            'local ok, why = pcall(ctx.run, "exit 3") '
            'return tostring(ok) .. (why:match("exited 3") or "")'
        ),
        "falseexited 3",
    ),
    "a script in the background": (
        'ctx.run("sleep 600 & echo started > f") return ctx.read("f")',
        "started\n",
    ),
}


def identity_of(case):
    """Return the identity of a case's recipe."""
    return f"local.{case.replace(' ', '-')}@r1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sync one recipe for each case."""
    project = Project(tmp_path_factory.mktemp("cases") / "project")
    project.packages(*map(identity_of, CASES))
    for case, (body, _) in CASES.items():
        project.recipe(
            identity_of(case),
            f"""local function act(ctx, opts) {body} end
            install = function(ctx, opts) ctx.write("result", tostring(act(ctx, opts))) end""",
        )
    return project.envy("sync")


@pytest.mark.parametrize("case", CASES)
def test_running(made, case):
    """The result of a call is what the documentation promises."""
    assert tree(made.folder(identity_of(case)))["result"] == CASES[case][1]


@pytest.mark.parametrize(
    ("install", "message"),
    [
        ('function(ctx) ctx.run("exit 3") end', "exited 3: exit 3"),
        ('function(ctx) ctx.run("kill -9 $$") end', "was killed by signal 9"),
        ('function(ctx) ctx.exec({ "sh", "-c", "exit 5" }) end', "exited 5"),
        ('function(ctx) ctx.exec({ "no_such_program" }) end', "no program 'no_such_program'"),
        ('function(ctx) ctx.run("sleep 600", { timeout = 0.1 }) end', "did not end within 0.1 s"),
        ('function(ctx) ctx.run("true", { cwd = "none" }) end', "there is no directory"),
        ('function(ctx) ctx.run("true", { chek = false }) end', "check"),
        ('function(ctx) ctx.run("true", { timeout = "1" }) end', "must be a number of seconds"),
        ("function(ctx) ctx.run(1) end", "the script must be a string, or an array of lines"),
        ('function(ctx) ctx.exec("ls") end', "ctx.exec takes an array of strings"),
        ('function(ctx) ctx.exec { "ls", nil, "x" } end', ".lua:2: ctx.exec: argument 2 is nil"),
        ('function(ctx) local o = {} ctx.exec { "ls", o.none } end', "ctx.exec: argument 2 is nil"),
        ('function(ctx) ctx.exec({ "ls", os.getenv("NO") }) end', "ctx.exec: argument 2 is nil"),
        ('function(ctx) ctx.exec { "ls", 7 } end', "argument 2 is a number, and must be a string"),
        (
            'function(ctx) return ctx.run("echo x").stdout end',
            ".lua:2: stdout was not captured: add capture = true",
        ),
        (
            'function(ctx) return #ctx.exec({ "echo" }).stderr end',
            ".lua:2: stderr was not captured: add capture = true",
        ),
        ('function(ctx) ctx.run("true", { interactive = true }) end', "needs a terminal"),
        ('"false; touch reached"', "exited 1"),
        ('"false | true; touch reached"', "exited 1"),
        ('"touch $0; exit 6"', "exited 6"),
    ],
)
def test_a_failing_command_ends_the_phase(project, install, message):
    """A failing command is an error unless caught, also in the middle of a script or a pipe."""
    run = project.sync_one(f"install = {install}", code=1)
    assert "local.one@r1" in run.err
    assert "install failed" in run.err
    assert message in run.err


def test_the_end_of_the_output_is_shown_with_the_error(project):
    """The error shows the last lines of output and the path of the log."""
    run = project.sync_one('install = "echo first; echo what went wrong >&2; exit 3"', code=1)
    assert "what went wrong" in run.err
    [log] = project.cache.rglob("install.log")
    assert str(log) in run.err
    assert "first\n" in log.read_text()


def test_output_goes_to_the_log(project):
    """The log contains both streams, also of quiet and captured runs."""
    project.sync_one(
        """install = function(ctx)
          ctx.run("echo loud")
          ctx.run("echo hushed", { quiet = true })
          ctx.run("echo caught >&2", { capture = true })
          ctx.write("x", "")
        end"""
    )
    [log] = project.cache.rglob("install.log")
    rows = log.read_text().splitlines()
    assert [row for row in rows if row in {"loud", "hushed", "caught"}] == [
        "loud",
        "hushed",
        "caught",
    ]


def test_quiet_keeps_output_off_the_display(project):
    """The output of a quiet command is not displayed; that of other commands is."""
    run = project.sync_one(
        """install = function(ctx)
          ctx.run("echo loud; touch x")
          ctx.run("echo hushed", { quiet = true })
        end""",
        "--verbose",
    )
    assert "| loud" in run.err
    assert "| hushed" not in run.err


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("end", ["touch x", "exit 3", "kill $$"])
@pytest.mark.parametrize("start", ["setsid", ""])
def test_a_daemon_is_ended(project, tmp_path, start, end):
    """Nor does one that left its session, however the script ends."""
    reached = tmp_path / "reached.fifo"
    os.mkfifo(reached)
    daemon = f"{start} sh -c 'echo $$ > {reached}; exec sleep 600' < /dev/null > /dev/null 2>&1 &"
    script = f"{daemon} cat {reached} > {tmp_path}/pid; {end}"
    project.sync_one(f"install = [==[{script}]==]", code=None)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_background_process_is_ended(project, tmp_path):
    """A process that a script left in the background does not outlive the script."""
    project.sync_one(f'install = "sleep 600 & echo $! > {tmp_path}/pid; touch x"')
    pid = (tmp_path / "pid").read_text().strip()
    assert not is_running(int(pid))
