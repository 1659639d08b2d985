"""Warm commands: answered from an earlier run without Lua, and never with a stale answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import envy

PROGRAM = """
import sys
before = set(sys.modules)
from envy.cli.fast_path import answer
ran = []
code = answer(sys.argv[1:], execute=lambda *found: ran.append(found))
code = 0 if ran else code
modules = sorted(set(sys.modules) - before)
import json
sys.stderr.write(json.dumps([code, modules]))
"""
# Modules that are slow to import, by themselves or by their own imports.
HEAVY = {
    "ast", "click", "contextlib", "dataclasses", "inspect", "json", "lupa", "networkx", "packaging",
    "pathlib", "platformdirs", "rich", "subprocess", "tarfile", "threading", "typing", "urllib3",
}  # fmt: skip
WARM = {
    "answers", "answers.facts", "answers.lookup", "answers.machine_programs", "answers.products",
    "answers.read", "answers.use", "cache", "cache.names", "cache.use_record", "cli",
    "cli.env_text", "cli.fast_path", "content", "content.file_digest", "content.file_names",
    "declarations", "declarations.manifest_search", "declarations.query_match", "environment",
}  # fmt: skip


def loaded_by(project, *words):
    """Return the exit code (None: no answer), the output, and the modules that were loaded."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(run.stderr.splitlines()[-1])
    return code, run.stdout, set(modules)


def is_warm(project, *words):
    """Whether a stored answer answers this command."""
    return loaded_by(project, *words)[0] == 0


@pytest.fixture
def built(project):
    """A project of a few packages, synced."""
    project.packages("local.app@r1")
    project.recipe("local.lib@r1", 'install = "echo lib > lib.txt"')
    project.recipe(
        "local.app@r1",
        'dependencies = { "local.lib@r1" }\ninputs = { "*.txt" }\npass_env = { "FLAVOUR" }\n'
        'local found = io.open("maybe.cfg", "r")\n'
        'products = { app = "bin/app", alias = "bin/app" }\n'
        "install = function(ctx)\n"
        '  ctx.write("bin/app", "#!/bin/sh\\necho $0 $*\\n")\n'
        '  ctx.run("chmod +x bin/app")\n'
        '  ctx.write("app.txt", found and "cfg" or "plain") end',
    )
    project.write("recipes/note.txt", "note")
    project.envy("sync")
    return project


COMMANDS = [
    ("asset", "app"), ("asset", "lib"), ("sync",), ("product", "app"), ("product", "alias"),
    ("run", "app", "-x"), ("run", "--", "true"),
    ("env",), ("env", "--format", "json"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_warm_command_loads_neither_lua_nor_the_engine(built, words):
    """A stored answer suffices, even with inputs that have to be checked."""
    built.envy(*words, trace=False)  # the first command of an hour records the use
    code, _out, modules = loaded_by(built, *words)
    assert code == 0
    own = {name.removeprefix("envy.") for name in modules if name.startswith("envy.")}
    assert own <= WARM
    assert modules & (HEAVY - {"contextlib"}) == set()  # glob imports it


@pytest.mark.parametrize("words", [("asset", "one"), ("sync",), ("sync", "one")], ids=" ".join)
def test_a_warm_command_loads_few_modules(project, words):
    """A warm command loads few modules of envy, and no slow modules of Python."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"\nlocal f = io.open("maybe")')
    project.envy(*words)
    code, _out, modules = loaded_by(project, *words)
    assert code == 0
    own = {name.removeprefix("envy.") for name in modules if name.startswith("envy.")}
    assert own <= WARM
    assert modules & HEAVY == set()


def test_a_warm_answer_equals_that_of_a_full_run(built):
    """A stored answer has the same path as --verbose, which never uses one."""
    warm = built.envy("asset", "app", trace=False)
    assert warm.out == built.envy("asset", "app", "--verbose").out


@pytest.mark.parametrize(
    "words",
    [
        ("product", "app"), ("product", "alias"), ("run", "app", "x y"), ("run", "alias"),
        ("run", "sh", "-c", "alias y; env | grep -v ^_="), ("run", "--", "printf", "%s", "--"),
        ("-q", "run", "app", "--", "-q"), ("run", "--no-install", "app", "--no-install"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_warm_run_equals_a_full_one(built, words):
    """The same program runs with the same words and variables, and has the same path."""
    assert is_warm(built, *words)
    warm = built.envy(*words, trace=False)
    full = built.envy(*words)
    assert (warm.out, warm.err) == (full.out, full.err)
    assert warm.out


def test_what_a_warm_run_cannot_run_is_an_error(built):
    """A program whose file was damaged or deleted, and one that does not exist."""
    path = Path(built.envy("product", "app", trace=False).out.strip())
    path.parent.chmod(0o755)
    path.chmod(0o644)
    assert not is_warm(built, "product", "app")
    assert not is_warm(built, "run", "app")
    assert built.envy("run", "app", code=None, trace=False).code in {1, 126, 127}
    path.unlink()
    for words in (("asset", "app"), ("sync",)):
        assert not is_warm(built, *words)
        assert "bin/app" in built.envy(*words, code=1, trace=False).err
    assert not is_warm(built, "product", "alias")
    assert not is_warm(built, "run", "true")
    assert built.envy("run", "app", code=None, trace=False).code in {1, 126, 127}
    assert not is_warm(built, "run", "no-such-program")


def test_a_query_does_not_replace_a_better_answer(built):
    """A query that only looks at one package keeps what a sync found about all of them."""
    for _ in range(2):
        built.envy("asset", "lib")  # a full run, because of its trace
        built.envy("product", "app", "--no-install")
        assert is_warm(built, "sync")
        assert is_warm(built, "run", "app")


def test_a_query_replaces_an_answer_that_it_contradicts(built):
    """What a query finds counts: the others are looked at when they are asked for."""
    built.recipe("local.lib@r1", 'install = "echo new > lib.txt"')
    built.envy("asset", "lib")
    assert is_warm(built, "asset", "lib")
    assert not is_warm(built, "run", "app")
    built.envy("run", "app", trace=False)
    assert is_warm(built, "run", "app")


def test_a_name_of_two_packages_is_refused_by_a_warm_run_too(built):
    """Only the name is an error; a program that runs it gets the same message as in a full run."""
    built.packages("local.app@r1", "local.lib@r1", "local.other@r1")
    for name in ("lib", "other"):
        built.recipe(
            f"local.{name}@r1",
            'products = { cc = "cc" }\ninstall = "printf x > cc; chmod +x cc"',
        )
    built.envy("sync")
    assert is_warm(built, "run", "app")
    assert not is_warm(built, "run", "cc")
    assert not is_warm(built, "product", "cc")
    words = ("run", "sh", "-c", "cc || exit 7")
    assert is_warm(built, *words)
    warm, full = built.envy(*words, code=7, trace=False), built.envy(*words, code=7)
    assert warm.err == full.err
    assert "both local.lib@r1 and local.other@r1 provide the product 'cc'" in warm.err


def test_a_removed_entry_is_rebuilt(built):
    """A missing marker is noticed before a stored answer is used."""
    [marker] = built.cache.glob("assets/local.lib@r1/*/envy-complete")
    marker.unlink()
    built.envy("asset", "app", trace=False)
    assert marker.exists()


def test_a_damaged_answer_is_not_used(built):
    """A damaged answer is quietly replaced."""
    [answer] = built.cache.glob("resolved/*.answer")
    answer.write_text('{"host": 1')
    assert built.envy("asset", "app", trace=False).out.startswith(str(built.cache))


def test_another_envy_does_not_use_the_answer(project, tmp_path):
    """After a change to a module of envy, the next command is a full run that stores an answer."""
    package = tmp_path / "copy" / "envy"
    shutil.copytree(
        Path(envy.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "shipped_recipes").mkdir()
    sync_one(project, "")
    environment = {**project.environment(), "PYTHONPATH": str(package.parent)}

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=project.root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    def is_answered():
        return json.loads(run("-c", PROGRAM, "sync").splitlines()[-1])[0] == 0

    run("-m", "envy", "sync")
    assert is_answered()
    os.utime(package / "phases" / "build.py", ns=(1, 1))
    assert not is_answered()
    run("-m", "envy", "sync")
    assert is_answered()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_instead_of_an_answer_is_not_used(built):
    """A pipe at the path of an answer is not opened; a full run replaces it."""
    [answer] = (built.cache / "resolved").glob("*.answer")
    answer.unlink()
    os.mkfifo(answer)
    assert not is_warm(built, "sync", "--quiet")
    assert built.envy("sync", "--quiet", trace=False).code == 0
    assert is_warm(built, "sync", "--quiet")


def test_a_user_managed_package_is_always_checked(project, tmp_path):
    """Every sync runs the checks of user-managed packages."""
    log = tmp_path / "checks"
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", f'check = "echo x >> {log}"\ninstall = "true"')
    for _ in range(3):
        project.envy("sync", trace=False)
    assert log.read_text() == "x\n" * 3


def sync_one(project, body, *words):
    """Write a project of one recipe, and sync it."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", body + '\ninstall = "touch x"')
    project.envy(*(words or ("sync",)), trace=False)


@pytest.mark.parametrize("field", ["products", "exports"])
def test_what_a_function_of_the_options_reads_is_evidence(project, field):
    """A variable that `products` or `exports` reads is part of the evidence."""
    sync_one(project, f'{field} = function() return os.getenv("X") and {{}} or {{}} end')
    assert is_warm(project, "asset", "one")
    before = project.envy("asset", "one", trace=False)
    after = project.envy("asset", "one", env={"X": "1"}, trace=False)
    assert after.out == project.envy("asset", "one", "--verbose", env={"X": "1"}).out
    assert after.out != before.out


def test_a_recipe_that_takes_precedence_is_noticed(project):
    """A new `recipe.lua` takes precedence in its folder; its absence was part of the evidence."""
    project.manifest('packages = { { recipe = "local.one@r1", source = "folder" } }')
    text = 'identity = "local.one@r1"\ninstall = "touch {}"\n'
    project.write("folder/local.one@r1.lua", text.format("x"))
    project.envy("sync")
    assert is_warm(project, "sync")
    project.write("folder/recipe.lua", text.format("y"))
    assert "1 installed" in project.envy("sync", trace=False).err


def test_what_decides_the_sources_is_evidence(project):
    """Files and variables that a fetch function reads are part of the evidence."""
    for name in "abc":
        project.write(f"recipes/{name}", name)
    sync_one(
        project,
        'fetch = function() local file = io.open("../name")\n'
        'return file and "a" or os.getenv("NAME") or "b" end',
        "asset",
        "one",
    )
    first = project.envy("asset", "one", trace=False).out
    assert is_warm(project, "asset", "one")
    second = project.envy("asset", "one", env={"NAME": "c"}, trace=False).out
    project.envy("asset", "one", trace=False)
    project.write("name", "")
    third = project.envy("asset", "one", trace=False).out
    assert len({first, second, third}) == 3


def test_a_new_folder_is_a_change(project):
    """A recipe can open a folder, so a new folder is a change."""
    sync_one(project, 'pass_env = { io.open("name") and "A" or "B" }')
    assert is_warm(project, "asset", "one")
    (project.root / "recipes/name").mkdir()
    warm = project.envy("asset", "one", trace=False)
    assert warm.out == project.envy("asset", "one", "--verbose").out


def test_a_pipe_instead_of_a_file_is_an_error(project):
    """A pipe at the path of a file is an error, and no command waits for it."""
    sync_one(project, 'loadfile("extra.lua")\nio.open("more.txt")')
    for name in ("extra.lua", "more.txt"):
        os.mkfifo(project.root / "recipes" / name)
        assert f"{name} is not a plain file" in project.envy("sync", code=1, timeout=300).err
        (project.root / "recipes" / name).unlink()


@pytest.mark.parametrize("mode", ["r", "w", "a+"])
def test_a_phase_cannot_open_a_pipe(project, mode):
    """Opening a pipe in a phase is an error, since Lua would block in a system call."""
    os.mkfifo(project.root / "pipe")
    project.packages("local.one@r1")
    path = project.root / "pipe"
    project.recipe("local.one@r1", f'fetch = function() io.open("{path}", "{mode}") end')
    assert "is a pipe" in project.envy("sync", code=1, timeout=300).err
    project.recipe("local.one@r1", f'install = function(ctx) io.open("{path}", "{mode}") end')
    assert "is a pipe" in project.envy("sync", code=1, timeout=300).err


@pytest.mark.parametrize("name", ["os.time", "os.date", "os.clock", "math.randomseed"])
def test_a_recipe_that_reads_the_time_is_never_warm(project, name):
    """A recipe that reads the time while it loads is loaded by every command."""
    sync_one(project, f"local now = {name}()")
    assert not is_warm(project, "sync")
    sync_one(project, f"products = function() {name}() return {{}} end")
    assert not is_warm(project, "sync")
    sync_one(project, f"fetch = function() {name}() end")
    assert not is_warm(project, "sync")
    sync_one(project, "math.randomseed(7)")
    assert is_warm(project, "sync")


def test_the_time_of_a_build_does_not_matter(project):
    """Phases may read the time, since their results are in the cache."""
    project.packages("local.one@r1")
    body = 'function(ctx) ctx.write("x", os.date()) end'
    project.recipe("local.one@r1", f"install = {body}")
    project.envy("sync")
    assert is_warm(project, "sync")


@pytest.mark.parametrize(
    ("say", "shown"),
    [
        ('print("hello")', "hello"),
        ('envy.warn("hello")', "hello"),
        ('envy.stdout("hello")', "hello"),
        ("optoins = {}", "did you mean `options`"),
        ('fetch = function() print("hello") end', "hello"),
    ],
)
def test_messages_of_a_recipe_are_shown_each_time(project, say, shown):
    """Messages of a recipe appear in every run."""
    sync_one(project, say)
    for words in (("sync",), ("sync",), ("asset", "one")):
        run = project.envy(*words, trace=False)
        assert shown in run.out + run.err


def test_output_of_the_manifest_is_shown_each_time(project):
    """Output of the manifest appears in every run."""
    sync_one(project, "")
    project.manifest('envy.stdout("hello")\npackages = { "local.one@r1" }')
    assert [project.envy("sync", trace=False).out for _ in range(3)] == ["hello\n"] * 3


def test_debug_messages_do_not_prevent_a_warm_answer(project):
    """Debug messages do not prevent a stored answer, since only a full run shows them."""
    sync_one(project, 'envy.debug("hello")')
    assert is_warm(project, "sync")


def test_a_manifest_with_windows_line_endings_is_warm(project):
    """The digest of a manifest is that of its bytes, with any line endings."""
    sync_one(project, "")
    project.manifest(b'packages = {\r\n  "local.one@r1",\r\n}\r\n')
    project.envy("sync")
    assert is_warm(project, "sync")


def test_a_warm_query_means_the_same_as_in_a_full_run(project):
    """An alias of a recipe file is a name in queries, with revision and options."""
    sync_one(project, 'alias = "uno"')
    folder = project.envy("asset", "uno", "--verbose").out
    for query in ("uno", "uno@r1", "uno{}"):
        assert is_warm(project, "asset", query)
        assert project.envy("asset", query, "--verbose").out == folder
    project.envy("asset", "uno@r2", code=1, trace=False)
    project.envy("asset", "uno{a=1}", code=1, trace=False)


@pytest.mark.parametrize("changed", ["local.other@r1.lua", "word.lua"])
def test_a_recipe_that_changes_during_a_run_is_not_built_under_its_old_key(project, changed):
    """A package is built from the files that its key was computed from, or not at all."""
    project.packages("local.app@r1", "local.other@r1")
    project.recipe("local.lib@r1", 'install = "touch x"')
    project.recipe("local.app@r1", 'dependencies = { "local.lib@r1" }\ninstall = "touch x"')
    project.write("recipes/word.lua", 'return "old"')
    project.recipe(
        "local.other@r1",
        'local word = require "word"\nlocal mine = "old"\n'
        'install = function(ctx) ctx.write("x", word .. mine) end',
    )
    project.envy("sync")
    # With one job, packages with dependents go first: lib is built before other is checked.
    entries = project.cache / "assets/local.other@r1"
    path = project.root / "recipes" / changed
    project.recipe(
        "local.lib@r1", f'install = "touch x; sed -i s/old/new/ {path}; rm -r {entries}"'
    )
    project.envy("sync", "--jobs", "1", code=None)
    assert {path.read_text() for path in entries.glob("*/asset/x")} <= {"oldold"}
    new = project.envy("sync").folder("local.other@r1")
    assert "new" in (new / "x").read_text()
