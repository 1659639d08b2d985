"""The right tool, or an error: which program a name runs, whatever is installed or missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from project import Project, envy_command, report_of_lock


def tool(name, says, extra=""):
    """Return a recipe whose product `name` prints a text."""
    return (
        f"install = function(ctx) ctx.write('bin/{name}', [[#!/bin/sh\necho {says}\n]]) "
        f"ctx.chmod('bin/{name}', '755') end\n"
        f'products = {{ {name} = "bin/{name}" }}\n{extra}'
    )


def needs(*rows):
    """Return a line that declares dependencies."""
    return f"dependencies = {{ {', '.join(rows)} }}\n"


BUILD = '{{ recipe = "local.{}@r1", use = "build" }}'


@pytest.fixture
def machine(project, tmp_path):
    """The environment of a machine whose PATH has a program `tool` of its own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tool").write_text("#!/bin/sh\necho system\n")
    (programs / "tool").chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


# -- which package a name means -------------------------------------------------------------------


def test_what_a_package_needs_to_run_is_used(project, machine):
    """Products of the run closure of a package precede the programs of the machine."""
    project.packages("local.app@r1")
    project.recipe("local.app@r1", needs('"local.lib@r1"') + 'install = "touch x"')
    project.recipe("local.lib@r1", tool("tool", "lib"))
    assert project.envy("run", "tool", env=machine).out == "lib\n"
    assert project.envy("run", "sh", "-c", "tool", env=machine).out == "lib\n"


def test_the_nearest_package_is_used(project, machine):
    """A package of the manifest precedes what another needs, in whatever order they are listed."""
    project.packages("local.app@r1", "local.own@r1")
    project.recipe("local.app@r1", needs('"local.lib@r1"') + 'install = "touch x"')
    project.recipe("local.lib@r1", tool("tool", "lib", 'exports = { env = { WHO = "lib" } }'))
    project.recipe("local.own@r1", tool("tool", "own", 'exports = { env = { WHO = "own" } }'))
    assert project.envy("run", "tool", env=machine).out == "own\n"
    nested = project.envy("run", "sh", "-c", "tool; echo $WHO", env=machine)
    assert nested.out == "own\nown\n"
    assert "local.own@r1" in project.envy("product", "tool").out


def test_two_that_are_equally_near_are_an_error_only_for_that_name(project, machine):
    """The error names both; other programs run, and the name is refused inside of them, too."""
    project.packages("local.a@r1", "local.b@r1")
    project.recipe("local.a@r1", tool("tool", "a"))
    project.recipe("local.b@r1", tool("tool", "b"))
    run = project.envy("run", "tool", code=1, env=machine)
    assert "both local.a@r1 and local.b@r1 provide the product 'tool'" in run.err
    assert "`exports = false`" in run.err
    assert project.markers() == []
    nested = project.envy("run", "sh", "-c", "tool", code=127, env=machine)
    assert "both local.a@r1 and local.b@r1 provide the product 'tool'" in nested.err
    assert nested.out == ""


def test_exports_false_leaves_a_package_out(project, machine):
    """An entry with `exports = false` brings neither names nor variables."""
    project.recipe("local.a@r1", tool("tool", "a", 'exports = { env = { WHO = "a" } }'))
    project.recipe("local.b@r1", tool("tool", "b", 'exports = { env = { WHO = "b" } }'))
    project.packages("local.a@r1", "local.b@r1")
    run = project.envy("run", "sh", "-c", "tool; echo $WHO", code=1)
    assert "local.a@r1 and local.b@r1 export different values for WHO: 'a' and 'b'" in run.err
    project.manifest('packages = { { recipe = "local.a@r1", exports = false }, "local.b@r1" }')
    assert project.envy("run", "sh", "-c", "tool; echo $WHO").out == "b\nb\n"
    assert project.envy("run", "tool").out == "b\n"
    assert "local.b@r1" in project.envy("product", "tool").out
    assert project.envy("run", "--with", "a", "tool").out == "a\n"
    project.manifest('packages = { { recipe = "local.a@r1", exports = false } }')
    run = project.envy("run", "tool", code=1, env=machine)
    assert "tool is a product of local.a@r1, which is not in the environment" in run.err


def test_exports_must_be_true_or_false(project):
    """A table under `exports` of an entry is an error with its location."""
    project.manifest('packages = { { recipe = "local.a@r1", exports = {} } }')
    err = project.envy("sync", code=1).err
    assert "envy.lua:1: `exports` must be true or false, not an empty table" in err


def test_a_dependency_may_be_left_out_of_scripts(project):
    """Two dependencies that set one variable are an error, unless an entry leaves one out."""
    project.packages("local.app@r1")
    for name in ("a", "b"):
        body = f'install = "touch x"\nexports = {{ env = {{ WHO = "{name}" }} }}'
        project.recipe(f"local.{name}@r1", body)
    install = 'install = "echo $WHO > who"'
    project.recipe("local.app@r1", needs('"local.a@r1"', '"local.b@r1"') + install)
    err = project.envy("sync", code=1).err
    assert "local.a@r1 and local.b@r1 export different values for WHO" in err
    left_out = needs('{ recipe = "local.a@r1", exports = false }', '"local.b@r1"')
    project.recipe("local.app@r1", left_out + install)
    folder = project.envy("sync").folder("local.app@r1")
    assert (folder / "who").read_text() == "b\n"


def test_a_script_gets_the_nearest_value(project):
    """A declared dependency decides before what another dependency needs to run."""
    project.packages("local.app@r1")
    project.recipe(
        "local.far@r1", 'install = "touch x"\nexports = { env = { WHO = "far", ONLY = "far" } }'
    )
    project.recipe("local.a@r1", needs('"local.far@r1"') + 'install = "touch x"')
    project.recipe("local.b@r1", 'install = "touch x"\nexports = { env = { WHO = "near" } }')
    install = 'install = "echo $WHO $ONLY > who"'
    project.recipe("local.app@r1", needs('"local.a@r1"', '"local.b@r1"') + install)
    folder = project.envy("sync").folder("local.app@r1")
    assert (folder / "who").read_text() == "near far\n"


def test_a_script_gets_what_its_gate_waited_for(project):
    """A dependency that is needed only later exports nothing to an earlier phase."""
    project.packages("local.app@r1")
    project.recipe("local.late@r1", 'install = "touch x"\nexports = { env = { WHO = "late" } }')
    project.recipe(
        "local.app@r1",
        needs('{ recipe = "local.late@r1", needed_by = "install" }')
        + "build = 'echo \"$WHO\" > who'\ninstall = 'cp $ENVY_STAGE_DIR/who .; echo $WHO >> who'",
    )
    folder = project.envy("sync").folder("local.app@r1")
    assert (folder / "who").read_text() == "\nlate\n"


@pytest.fixture
def variants(project):
    """Two variants of local.lib: the manifest's, and one that is needed only to build."""
    project.manifest('packages = { "local.app@r1", "local.lib@r1" }')
    lib = 'options = { v = { type = "string", default = "1" } }\n'
    project.recipe("local.lib@r1", lib + tool("tool", "$ENVY_OPTION_V"))
    build = '{ recipe = "local.lib@r1", options = { v = "2" }, use = "build" }'
    project.recipe("local.app@r1", needs(build) + 'install = "touch x"')
    return project


def test_a_query_means_the_nearest_package(variants):
    """A query means the package of the manifest, cold and warm, whatever else is in the graph."""
    for _ in range(2):
        assert variants.envy("asset", "lib").out == variants.envy("asset", "local.lib@r1").out
    assert "v=2" not in variants.envy("plan", "lib").out
    variants.envy("sync", "lib")
    variants.envy("run", "--with", "lib", "tool")
    far = variants.envy("asset", "lib{v=2}").out
    assert far != variants.envy("asset", "lib").out


def test_a_query_that_means_equally_near_packages_lists_them(project):
    """Two matches of one distance are an error, also if only one of them is installed."""
    lib = 'options = { v = { type = "string", default = "1" } }\ninstall = "touch x"'
    project.recipe("local.lib@r1", lib)
    project.manifest(
        'packages = { "local.lib@r1", { recipe = "local.lib@r1", options = { v = "2" } } }'
    )
    project.envy("sync", "lib{v=2}")
    for words in (["asset", "lib"], ["sync", "lib"], ["run", "--with", "lib", "true"]):
        err = project.envy(*words, code=1).err
        assert "local.lib@r1\n" in err
        assert 'local.lib@r1{v="2"}' in err


# -- never another program ------------------------------------------------------------------------


def test_a_build_only_package_is_not_used(project, machine):
    """Its name is an error that says how to run it, and --with takes it."""
    project.packages("local.app@r1")
    project.recipe("local.app@r1", needs(BUILD.format("tool")) + 'install = "touch x"')
    project.recipe("local.tool@r1", tool("tool", "ours"))
    run = project.envy("run", "tool", code=1, env=machine)
    assert "tool is a product of local.tool@r1, which is not in the environment" in run.err
    assert "envy run --with 'local.tool@r1' tool" in run.err
    assert project.envy("run", "sh", "-c", "tool", env=machine).out == "system\n"
    assert project.envy("run", "--with", "tool", "tool", env=machine).out == "ours\n"
    run = project.envy("run", "--with", "app", "tool", code=1, env=machine)
    assert "or not among the packages of --with" in run.err
    assert project.envy("product", "tool").out.endswith("asset/bin/tool\n")


@pytest.mark.parametrize("words", [[], ["--no-install"]])
def test_a_package_for_another_platform_provides_nothing(project, machine, words):
    """A name that only it provides runs from PATH, and -v says so."""
    project.packages("local.app@r1", "local.tool@r1")
    project.recipe("local.app@r1", 'install = "touch x"')
    project.recipe("local.tool@r1", 'platforms = { "windows" }\n' + tool("tool", "ours"))
    project.envy("sync")
    assert project.envy("run", *words, "tool", env=machine).out == "system\n"
    run = project.envy("-v", "run", *words, "tool", env=machine)
    assert "note: tool is a product of local.tool@r1, which is not for" in run.err
    assert "no package provides the product 'tool'" in project.envy("product", "tool", code=1).err


def test_a_failed_package_never_falls_through(project, machine):
    """Its name is an error, also inside of another program; others run with a warning."""
    project.packages("local.tool@r1", "local.other@r1")
    project.recipe("local.tool@r1", 'install = "exit 3"\nproducts = { tool = "bin/tool" }')
    project.recipe("local.other@r1", tool("other", "runs; tool"))
    assert project.envy("run", "tool", code=1, env=machine).out == ""
    run = project.envy("run", "other", code=127, env=machine)
    assert run.out == "runs\n"
    assert "warning: local.tool@r1: install failed" in run.err
    assert "error: tool is a product of local.tool@r1, which is not installed" in run.err


def test_a_package_whose_dependency_failed(project, machine):
    """A product needs the run closure of its package."""
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", needs('"local.lib@r1"') + tool("tool", "ours"))
    project.recipe("local.lib@r1", 'install = "exit 3"')
    run = project.envy("run", "tool", code=1, env=machine)
    assert run.out == ""
    assert "error: local.lib@r1: install failed" in run.err


def test_without_installing(project, machine):
    """With --no-install, a missing package is an error for its names and a warning for others."""
    project.packages("local.tool@r1", "local.other@r1")
    project.recipe("local.tool@r1", tool("tool", "ours"))
    project.recipe("local.other@r1", tool("other", "runs"))
    project.envy("sync", "other")
    run = project.envy("run", "--no-install", "tool", code=1, env=machine)
    assert "not installed: local.tool@r1" in run.err
    run = project.envy("run", "--no-install", "other", env=machine)
    assert run.out == "runs\n"
    assert "warning: local.tool@r1 is not installed" in run.err


class Launched(Project):
    """A project whose manifest has launchers, in `launch`."""

    def manifest(self, text):
        """Write envy.lua."""
        return super().manifest(f'{text}\nlaunchers = "launch"\n')


def printed(words, project, env):
    """Return what a command prints that must succeed if it prints anything."""
    done = subprocess.run(
        words, env=project.environment(env), cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.stdout == ERROR) == (done.returncode != 0), done.stderr
    return done.stdout


def in_a_shell(project, env, *words):
    """Return what `tool` prints where a shell has read the text of `envy env`."""
    run = project.envy("env", *words, env=env, code=None)
    return ERROR if run.code else printed(["sh", "-c", f"{run.out}\ntool"], project, env)


def listed(project):
    """The manifest lists the package, which is installed."""
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", tool("tool", "ours"))
    project.envy("sync")


def fails(project):
    """It is edited, and its new install fails."""
    listed(project)
    project.recipe("local.tool@r1", 'install = "exit 1"\nproducts = { tool = "tool" }')


def is_missing(project):
    """It was never installed."""
    listed(project)
    shutil.rmtree(project.cache / "assets")


def is_needed_to_build(project):
    """Another package needs it only to build."""
    listed(project)
    project.packages("local.app@r1")
    project.recipe("local.app@r1", needs(BUILD.format("tool")) + 'install = "touch x"')


def is_left_out(project):
    """Its entry says so."""
    listed(project)
    project.manifest('packages = { { recipe = "local.tool@r1", exports = false } }')


def is_for_another_platform(project):
    """Its recipe says so."""
    listed(project)
    project.recipe("local.tool@r1", 'platforms = { "windows" }\n' + tool("tool", "ours"))


def left_the_manifest(project):
    """The manifest no longer lists it."""
    listed(project)
    project.manifest("packages = {}")


def is_edited(project):
    """Its recipe creates something else."""
    listed(project)
    project.recipe("local.tool@r1", tool("tool", "edited"))


def lost_its_entry(project):
    """Somebody removed its entry."""
    listed(project)
    for entry in (project.cache / "assets").glob("local.tool@r1/*"):
        shutil.rmtree(entry)


def lost_its_file(project):
    """Somebody removed the program from its entry."""
    listed(project)
    [program] = (project.cache / "assets").glob("*/*/asset/bin/tool")
    program.parent.chmod(0o755)
    program.unlink()


def lives_in_a_moved_cache(project):
    """The cache was moved."""
    listed(project)
    project.cache = project.cache.rename(f"{project.cache}-moved")


def fell_to_gc(project):
    """Another project's gc removed it, since nothing was live for its sake any more."""
    listed(project)
    other = Project(project.root.parent / "other", cache=project.cache)
    other.packages()
    other.envy("cache", "forget", project.root)
    for pattern in ("projects/*/*.json", "assets/*/*/*", "assets/*/*"):
        for path in project.cache.glob(pattern):
            os.utime(path, (10**9, 10**9))
    other.envy("cache", "gc", "--unused-for", "1d")
    assert project.markers() == []


OURS, EDITED, SYSTEM, ERROR = "ours\n", "edited\n", "system\n", ""


@pytest.mark.parametrize(
    ("state", "runs", "runs_installed", "in_env", "in_env_installed", "has_product", "has_asset"),
    [
        # What `envy run tool` and a launcher print, and with --no-install; what `tool` prints where
        # a shell has the variables of `envy env`, and with --no-install; whether there is a path.
        (listed, OURS, OURS, OURS, OURS, True, True),
        (fails, ERROR, ERROR, ERROR, ERROR, False, False),
        (is_missing, OURS, ERROR, OURS, ERROR, True, True),
        (is_needed_to_build, ERROR, ERROR, SYSTEM, ERROR, True, True),
        (is_left_out, ERROR, ERROR, SYSTEM, SYSTEM, True, True),
        (is_for_another_platform, SYSTEM, SYSTEM, SYSTEM, SYSTEM, False, False),
        (left_the_manifest, SYSTEM, SYSTEM, SYSTEM, SYSTEM, False, False),
        (is_edited, EDITED, ERROR, EDITED, ERROR, True, True),
        (lost_its_entry, OURS, ERROR, OURS, ERROR, True, True),
        (lost_its_file, ERROR, ERROR, ERROR, ERROR, False, False),
        (lives_in_a_moved_cache, OURS, OURS, OURS, OURS, True, True),
        (fell_to_gc, OURS, ERROR, OURS, ERROR, True, True),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_a_name_means_in_each_state(
    tmp_path, machine, state, runs, runs_installed, in_env, in_env_installed, has_product, has_asset
):
    """A name runs the package's program, or the machine's where there is no package, or fails."""
    project = Launched(tmp_path / "project")
    state(project)
    assert in_a_shell(project, machine, "--no-install") == in_env_installed
    installed = project.envy("run", "--no-install", "tool", env=machine, code=None)
    assert (installed.out, installed.code != 0) == (runs_installed, runs_installed == ERROR)
    # The sync wrote it before the change, so this installs, and what follows finds it installed.
    assert printed([project.root / "launch" / "tool"], project, machine) == runs
    run = project.envy("run", "tool", env=machine, code=None)
    assert (run.out, run.code != 0) == (runs, runs == ERROR)
    assert in_a_shell(project, machine) == in_env
    for word, expected in (("product", has_product), ("asset", has_asset)):
        run = project.envy(word, "tool", env=machine, code=None)
        assert (run.out.startswith(str(project.cache)), run.code == 0) == (expected, expected)


def test_a_file_that_is_no_product_does_not_run_instead(project, machine):
    """A file of another package, in a folder that comes first, does not shadow a product."""
    project.packages("local.first@r1", "local.tool@r1")
    project.recipe(
        "local.first@r1",
        tool("other", "other").replace("ctx.chmod", "ctx.copy('bin/other', 'bin/tool') ctx.chmod"),
    )
    project.recipe("local.tool@r1", tool("tool", "ours"))
    assert project.envy("run", "sh", "-c", "tool", env=machine).out == "ours\n"


def test_a_user_managed_program_comes_alone(project, machine):
    """Its product runs by its name inside of other programs, and its folder stays where it was."""
    project.write("elsewhere/gcc", "#!/bin/sh\necho ours\n", mode=0o755)
    project.write("elsewhere/tool", "#!/bin/sh\necho elsewhere\n", mode=0o755)
    project.packages("local.driver@r1")
    products = f'{{ gcc = "{project.root}/elsewhere/gcc", cc = "tool", none = "no-such" }}'
    project.recipe("local.driver@r1", f'check = "true"\ninstall = "true"\nproducts = {products}')
    run = project.envy("run", "sh", "-c", "gcc; cc; tool", env=machine)
    assert run.out == "ours\nsystem\nsystem\n"
    assert project.envy("run", "gcc", env=machine).out == "ours\n"
    run = project.envy("run", "sh", "-c", "none", code=127, env=machine)
    assert "the product none of local.driver@r1 is 'no-such', and there is no such" in run.err


@pytest.mark.parametrize("word", ["run", "product", "asset", "env", "launcher"])
def test_while_another_process_builds(tmp_path, machine, word):
    """A command waits for the entry that another process is building."""
    project = Launched(tmp_path / "project")
    project.packages("local.tool@r1")
    ready, go = tmp_path / "ready", tmp_path / "go"
    for path in (ready, go):
        os.mkfifo(path)
    if word == "launcher":
        project.recipe("local.tool@r1", tool("tool", "former"))
        project.envy("sync")
    slow = f"ctx.run('echo > {ready}; cat {go}') ctx.write("
    project.recipe("local.tool@r1", tool("tool", "ours").replace("ctx.write(", slow, 1))
    building = project.popen("sync")
    ready.read_text()
    if word == "launcher":
        running = started_launcher(project, machine)
    else:
        query = [] if word == "env" else ["tool"]
        running = project.popen(word, "--trace=stderr", *query, env=machine)
    report_of_lock(running)
    go.write_text("")
    out, _ = running.communicate(timeout=300)
    building.communicate(timeout=300)
    assert (running.returncode, building.returncode) == (0, 0)
    if word == "env":
        assert printed(["sh", "-c", out.decode() + "\ntool"], project, machine) == OURS
    elif word in {"run", "launcher"}:
        assert out.decode() == OURS
    else:
        assert out.startswith(bytes(project.cache))


def started_launcher(project, machine):
    """Start the launcher of `tool`, whose `envy` reports what it does."""
    script = f'#!/bin/sh\nexec "{envy_command()}" --trace=stderr "$@"\n'
    envy = project.write("programs/envy", script, mode=0o755)
    path = f"{envy.parent}:{machine['PATH']}"
    return subprocess.Popen(
        [project.root / "launch" / "tool"],
        env=project.environment({**machine, "PATH": path}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_path_holds_each_folder_once(project):
    """A folder that is exported, has products, and is on the user's PATH comes once."""
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", tool("tool", "ours", 'exports = { path = { "bin" } }'))
    folder = project.envy("asset", "tool").out.strip() + "/bin"
    path = f"/usr/bin:{folder}:/bin:/usr/bin"
    run = project.envy("run", "sh", "-c", 'echo "$PATH"', env={"PATH": path})
    assert run.out == f"{folder}:/usr/bin:/bin\n"


def test_a_program_without_the_executable_bit(project, machine):
    """It ends with 126, as in a shell, and no other program runs instead."""
    project.packages("local.tool@r1")
    product = 'products = { tool = { path = "bin/tool", kind = "file" } }'
    project.recipe("local.tool@r1", tool("tool", "ours", product))
    run = project.envy("run", "tool", code=126, env=machine)
    assert "the product tool of local.tool@r1 cannot be run" in run.err
    project.recipe("local.tool@r1", tool("tool", "ours"))
    program = Path(project.envy("product", "tool").out.strip())
    program.chmod(0o444)
    for words in ([], ["--no-install"]):
        run = project.envy("run", *words, "tool", code=126, env=machine)
        assert "the product tool cannot be run" in run.err
        assert "is not executable" in run.err
        assert run.out == ""
    project.packages()
    project.write("notes", "text")
    assert "./notes cannot be run" in project.envy("run", "./notes", code=126).err
