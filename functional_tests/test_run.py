"""`envy run`: a program with the project's packages first on its PATH, as if started directly."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def script(name, text):
    """Return an install that creates an executable script."""
    return (
        f"install = function(ctx) ctx.write('bin/{name}', [[#!/bin/sh\n{text}\n]]) "
        f"ctx.chmod('bin/{name}', '755') end\n"
    )


@pytest.fixture
def tools(project):
    """Packages with a product, with a product whose file has another name, and with exports."""
    project.packages("local.hello@r1", "local.renamed@r1", "local.exported@r1")
    project.recipe(
        "local.hello@r1", script("hello", "echo hello $*") + 'products = { hello = "bin/hello" }'
    )
    project.recipe(
        "local.renamed@r1", script("cc-14", "echo cc $*") + 'products = { ["my-cc"] = "bin/cc-14" }'
    )
    project.recipe(
        "local.exported@r1",
        script("exported", "echo exported")
        + 'exports = { path = { "bin" }, env = { EXPORTED_ROOT = "{{asset}}/share" } }',
    )
    return project


# -- as if started directly ---------------------------------------------------------------------


def test_the_exit_code_passes_through(tools):
    """The exit code of envy is that of the program."""
    tools.envy("run", "--", "sh", "-c", "exit 7", code=7)


def test_a_program_that_is_killed_ends_envy_the_same_way(tools):
    """If a signal ends the program, the caller sees the same signal."""
    tools.envy("run", "sh", "-c", "kill -TERM $$", code=-signal.SIGTERM)


def test_signals_reach_the_program(tools):
    """The program replaces envy, so that signals to envy reach the program."""
    waits = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('ready', flush=True)\n"
        "sys.exit(40 + signal.sigwait([signal.SIGINT]))"
    )
    process = tools.popen("run", sys.executable, "-c", waits)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 40 + signal.SIGINT


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_program_inherits_signal_handling(tools):
    """envy run leaves no signal ignored or blocked."""
    ask = ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]
    direct = subprocess.run(ask, capture_output=True, check=True, restore_signals=True)
    assert tools.envy("run", *ask).out == direct.stdout.decode()


def test_the_program_gets_the_standard_streams(tools):
    """The program has the standard streams of envy."""
    process = tools.popen("run", "sh", "-c", "cat; echo error >&2", stdin=subprocess.PIPE)
    out, err = process.communicate(b"typed\n", timeout=300)
    assert out == b"typed\n"
    assert err.endswith(b"error\n")


def test_the_program_runs_where_envy_was_started(tools):
    """The program runs in the user's current directory, not in the project."""
    below = tools.root / "some" / "folder"
    below.mkdir(parents=True)
    assert tools.envy("run", "pwd", cwd=below).out == f"{below}\n"


@pytest.mark.parametrize("separator", [[], ["--"]])
def test_arguments_of_the_program_are_untouched(tools, separator):
    """Everything after the program is passed on, even if it resembles options of envy."""
    words = ["--jobs", "x", "--with", "--trace", "-q", "--", "--no-install", "a b", ""]
    run = tools.envy("run", *separator, "printf", "<%s>", *words)
    assert run.out == "".join(f"<{word}>" for word in words)


def test_common_options_stand_before_or_after_the_command(tools, tmp_path):
    """Options of envy are accepted on both sides of `run`, up to the program."""
    trace = tmp_path / "trace.jsonl"
    cache = tmp_path / "another-cache"
    tools.envy("--cache-root", cache, "run", f"--trace=file:{trace}", "-q", "hello")
    assert (cache / "assets").is_dir()
    assert trace.read_text()


# -- what the program can use -------------------------------------------------------------------


def test_products_are_found_by_their_names(tools):
    """A missing package is installed first, and its product runs by name."""
    run = tools.envy("run", "hello", "world")
    assert run.out == "hello world\n"
    assert "local.hello@r1" in tools.markers()


def test_a_product_whose_file_has_another_name(tools):
    """A product runs by its name, whatever the name of its file."""
    assert tools.envy("run", "my-cc", "-c").out == "cc -c\n"


def test_exports_are_applied(tools):
    """Exported folders are on PATH, and exported variables are set."""
    run = tools.envy("run", "sh", "-c", "exported; echo $EXPORTED_ROOT")
    folder = tools.envy("asset", "exported").out.strip()
    assert run.out == f"exported\n{folder}/share\n"


def test_packages_come_first_on_the_path(tools):
    """A product precedes a program of the machine, whose PATH follows."""
    tools.packages("local.true@r1")
    tools.recipe(
        "local.true@r1", script("true", "echo ours") + 'products = { ["true"] = "bin/true" }'
    )
    assert tools.envy("run", "true").out == "ours\n"
    assert tools.envy("run", "sh", "-c", "ls / > /dev/null && echo found").out == "found\n"


def test_other_variables_pass_through(tools):
    """The program gets the user's environment as well."""
    run = tools.envy("run", "sh", "-c", "echo $SOME_VARIABLE", env={"SOME_VARIABLE": "kept"})
    assert run.out == "kept\n"


def test_a_warm_run_prints_nothing_of_its_own(tools):
    """If everything is installed, envy itself prints nothing."""
    tools.envy("run", "hello")
    run = tools.envy("run", "hello")
    assert (run.out, run.err) == ("hello\n", "")


def test_with_limits_the_packages(tools):
    """With --with, only the named packages are installed and on PATH."""
    run = tools.envy("run", "--with", "hello", "sh", "-c", "hello; command -v my-cc || echo none")
    assert run.out == "hello\nnone\n"
    assert tools.markers() == ["local.hello@r1"]


def test_with_may_be_given_several_times(tools):
    """Each --with adds a package."""
    run = tools.envy("run", "--with", "hello", "--with=renamed", "sh", "-c", "hello; my-cc")
    assert run.out == "hello\ncc\n"


def test_with_may_name_a_dependency(tools):
    """--with accepts a package that is only a dependency."""
    tools.packages("local.app@r1")
    tools.recipe("local.app@r1", 'dependencies = { "local.hello@r1" }\ninstall = "touch x"')
    assert tools.envy("run", "--with", "hello", "hello").out == "hello\n"


def test_two_packages_with_one_product_are_an_error(tools):
    """Two providers of a product are an error, unless --with chooses one."""
    tools.recipe("local.second@r1", script("hello", "echo second") + 'products={hello="bin/hello"}')
    tools.packages("local.hello@r1", "local.second@r1")
    run = tools.envy("run", "hello", code=1)
    for part in ("local.hello@r1", "local.second@r1", "--with"):
        assert part in run.err
    assert tools.envy("run", "--with", "second", "hello").out == "second\n"


def test_two_packages_that_export_different_values_are_an_error(tools):
    """Two values for one exported variable are an error that names both packages."""
    tools.packages("local.a@r1", "local.b@r1")
    for name in ("a", "b"):
        tools.recipe(
            f"local.{name}@r1", f'install = "touch x"\nexports = {{ env = {{ ROOT = "{name}" }} }}'
        )
    run = tools.envy("run", "true", code=1)
    assert "local.a@r1 and local.b@r1 export different values for ROOT" in run.err


# -- errors -------------------------------------------------------------------------------------


def test_no_install_of_missing_packages_is_an_error(tools):
    """--no-install names missing packages and runs nothing."""
    run = tools.envy("run", "--no-install", "hello", code=1)
    assert "local.hello@r1" in run.err
    assert tools.markers() == []


def test_no_install_uses_installed_packages(tools):
    """--no-install uses installed packages."""
    tools.envy("sync")
    assert tools.envy("run", "--no-install", "my-cc").out == "cc\n"


def test_a_missing_program_is_127(tools):
    """For a missing program, the exit code is 127, as in a shell."""
    run = tools.envy("run", "no_such_program", code=127)
    assert "no_such_program" in run.err


def test_a_program_that_cannot_be_run_is_126(tools):
    """For a program that cannot be run, the exit code is 126, as in a shell."""
    tools.write("broken", "#!/no/such/interpreter\n", mode=0o755)
    tools.envy("run", "./broken", code=126)


def test_no_program_is_a_usage_error(tools):
    """`envy run` without a program is a usage error."""
    tools.envy("run", code=2)
    tools.envy("run", "--", code=2)


def test_a_failing_package_runs_nothing(tools):
    """If a package cannot be installed, the program is not started."""
    tools.packages("local.broken@r1")
    tools.recipe("local.broken@r1", 'install = "exit 3"')
    run = tools.envy("run", "echo", "started", code=1)
    assert run.out == ""


def test_user_managed_products_are_used_unchanged(tools, tmp_path):
    """A user-managed product may be an absolute path, or a program on PATH."""
    tools.write("bin/real-tool", "#!/bin/sh\necho managed\n", mode=0o755)
    tools.packages("local.driver@r1")
    tools.recipe(
        "local.driver@r1",
        f"""check = "true"
        install = "true"
        products = {{ tool = "{tools.root}/bin/real-tool", shell = "sh" }}""",
    )
    assert tools.envy("run", "tool").out == "managed\n"


@pytest.mark.parametrize(
    ("product", "more", "expected"),
    [
        ('["python3.12"]', "", "1"),
        ("tool", "", "off"),
        ("tool", "touch pyvenv.cfg", "1"),
        ("python", "", "1"),
    ],
)
def test_an_import_does_not_write_into_a_python(project, product, more, expected):
    """Root could, whatever the modes of the package say."""
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        f'products = {{ {product} = "tool" }}\ninstall = "echo > tool; chmod +x tool; {more}"',
    )
    words = ("run", "sh", "-c", "echo $PYTHONDONTWRITEBYTECODE")
    for trace in (True, False):
        run = project.envy(*words, env={"PYTHONDONTWRITEBYTECODE": "off"}, trace=trace)
        assert run.out == f"{expected}\n"
