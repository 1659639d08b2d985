"""The file functions of ctx, which work relative to the run directory."""

import os
import subprocess

import pytest
from project import Project, tree

# What a case does in install, and the files that are in the asset after it.
CASES = {
    "write makes parents": ('ctx.write("a/b.txt", "text")', {"a/b.txt": "text"}),
    "write replaces": ('ctx.write("a", "1") ctx.write("a", "2")', {"a": "2"}),
    "read": ('ctx.write("a", "x") ctx.write("b", ctx.read("a") .. "y")', {"a": "x", "b": "xy"}),
    "mkdir": ('ctx.mkdir("a/b") ctx.mkdir("a/b") ctx.write("a/b/c", "x")', {"a/b/c": "x"}),
    "exists": (
        'ctx.write("a", tostring(ctx.exists("a")) .. tostring(ctx.exists("..")))',
        {"a": "falsetrue"},
    ),
    "copy to a name": (
        'ctx.write("a", "x") ctx.copy("a", "new/folder/b")',
        {"a": "x", "new/folder/b": "x"},
    ),
    "copy into a folder": (
        'ctx.write("a", "x") ctx.mkdir("d") ctx.copy("a", "d")',
        {"a": "x", "d/a": "x"},
    ),
    "copy into a folder to be made": (
        'ctx.write("a", "x") ctx.copy("a", "d/")',
        {"a": "x", "d/a": "x"},
    ),
    "copy a tree to a name": (
        'ctx.write("t/u/a", "x") ctx.symlink("a", "t/u/l") ctx.copy("t", "v")',
        {"t/u/a": "x", "t/u/l": "-> a", "v/u/a": "x", "v/u/l": "-> a"},
    ),
    "copy a tree into a folder": (
        'ctx.write("t/a", "x") ctx.copy("t", "d/")',
        {"t/a": "x", "d/t/a": "x"},
    ),
    "copy what is in a folder": (
        'ctx.write("t/a", "x") ctx.mkdir("d") ctx.copy("t/.", "d")',
        {"t/a": "x", "d/a": "x"},
    ),
    "move to a name": ('ctx.write("a", "x") ctx.move("a", "d/b")', {"d/b": "x"}),
    "move into a folder": ('ctx.write("a", "x") ctx.move("a", "d/")', {"d/a": "x"}),
    "move a tree": ('ctx.write("t/a", "x") ctx.move("t", "u")', {"u/a": "x"}),
    "remove a tree": ('ctx.write("t/a", "x") ctx.write("b", "") ctx.remove("t")', {"b": ""}),
    "remove what is not there": ('ctx.write("b", "") ctx.remove("t")', {"b": ""}),
    "symlink": ('ctx.write("a", "x") ctx.symlink("a", "d/l")', {"a": "x", "d/l": "-> a"}),
    "glob": (
        (
            'ctx.write("d/b.c", "") ctx.write("d/a.c", "") ctx.write("d/e/f.c", "") '
            'ctx.write("found", table.concat(ctx.glob("d/*.c"), " ") .. "|" '
            '.. table.concat(ctx.glob("**/f.c"), " "))'
        ),
        {"d/b.c": "", "d/a.c": "", "d/e/f.c": "", "found": "d/a.c d/b.c|d/e/f.c"},
    ),
    "ls": (
        (
            'ctx.write("b", "") ctx.write("a/c", "") ctx.write("found", '
            'table.concat(ctx.ls(), " ") .. "|" .. table.concat(ctx.ls("a"), " "))'
        ),
        {"b": "", "a/c": "", "found": "a b|c"},
    ),
    "replace counts": (
        'ctx.write("a", "1.1.2") ctx.write("n", tostring(ctx.replace("a", "1.", "x")))',
        {"a": "xx2", "n": "2"},
    ),
    "replace takes text literally": (
        'ctx.write("a", "a%d+") ctx.replace("a", "%d+", "%1")',
        {"a": "a%1"},
    ),
    "patch given as text": (
        (
            'ctx.write("f", "one\\ntwo\\n") '
            'ctx.patch("--- a/f\\n+++ b/f\\n@@ -1,2 +1,2 @@\\n one\\n-two\\n+three\\n")'
        ),
        {"f": "one\nthree\n"},
    ),
    "patch with strip": (
        (
            'ctx.write("f", "two\\n") '
            'ctx.patch("--- f\\n+++ f\\n@@ -1 +1 @@\\n-two\\n+three\\n", { strip = 0 })'
        ),
        {"f": "three\n"},
    ),
    "template": (
        'ctx.write("a", ctx.template("{{x}}-{{ y }}", { x = 1, y = "two" }))',
        {"a": "1-two"},
    ),
    "quote": (
        """ctx.run("printf %s " .. ctx.quote("it's $HOME") .. " > a")""",
        {"a": "it's $HOME"},
    ),
    "a colon works": (
        'ctx:write("a", "x") ctx:copy("a", "b") ctx:run("cat a >> b")',
        {"a": "x", "b": "xx"},
    ),
    "absolute paths": ('ctx.write(ctx.install_dir .. "/a", "x")', {"a": "x"}),
    "bytes survive": (
        (
            'ctx.run("printf \'\\\\377x\' > a") ctx.write("b", ctx.read("a")) '
            'ctx.write("same", tostring(ctx.run("cmp a b").exit_code)) '
            'ctx.remove("a") ctx.remove("b")'
        ),
        {"same": "0"},
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
        project.recipe(identity_of(case), f"install = function(ctx) {body} end")
    return project.envy("sync")


@pytest.mark.parametrize("case", CASES)
def test_file_functions(made, case):
    """The files after a call are those that the documentation promises."""
    assert tree(made.folder(identity_of(case))) == CASES[case][1]


@pytest.mark.parametrize(("mode", "wanted"), [("755", 0o555), ('"750"', 0o550), ('"u+x"', 0o544)])
def test_chmod(project, mode, wanted):
    """A mode is octal digits, as a number or text, or letters; publishing removes write access."""
    body = f'ctx.write("a", "") ctx.chmod("a", "644") ctx.chmod("a", {mode})'
    folder = project.make(f"install = function(ctx) {body} end")
    assert (folder / "a").stat().st_mode & 0o777 == wanted & ~0o222


def test_copies_keep_their_mode(project):
    """A copy of an executable file is executable."""
    body = 'ctx.write("a", "") ctx.chmod("a", "755") ctx.copy("a", "d/")'
    folder = project.make(f"install = function(ctx) {body} end")
    assert (folder / "d/a").stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('ctx.write("a", "x") ctx.replace("a", "y", "z")', "does not contain 'y'"),
        ('ctx.copy("missing", "b")', "missing: No such file or directory"),
        ('ctx.read("missing")', "missing: No such file or directory"),
        ('ctx.patch("--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-two\\n+three\\n")', "patch"),
        ('ctx.template("{{colour}}", { color = 1 })', "{{colour}} has no value"),
        ("ctx.copy()", "ctx.copy"),
        ('ctx.cpoy("a", "b")', "did you mean 'copy'?"),
    ],
)
def test_mistakes_say_where_they_are(project, body, message):
    """A function that fails says why, with the author's line."""
    run = project.sync_one(f"install = function(ctx)\n  {body}\nend", code=1)
    assert message in run.err
    assert "recipes/local.one@r1.lua:3" in run.err


# -- the recipe's own folder --------------------------------------------------------------------

READERS = {
    "copy": 'ctx.copy(ctx.recipe_dir .. "/own/file.txt", "file.txt")',
    "read": 'ctx.write("file.txt", ctx.read(ctx.recipe_dir .. "/own/file.txt"))',
    "io.open": 'ctx.write("file.txt", io.open(ctx.recipe_dir .. "/own/file.txt"):read("a"))',
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_outside_the_key_cannot_be_read(project, reader):
    """An undeclared file of the recipe's folder cannot be read; the error shows the line to add."""
    project.write("recipes/own/file.txt", "own")
    run = project.sync_one(f"install = function(ctx) {READERS[reader]} end", code=1)
    assert "own/file.txt" in run.err
    assert "inputs" in run.err


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "declared",
    [
        'inputs = { "own/*.txt" }',
        'inputs = { "own" }',
        'local text = io.open("own/file.txt"):read()',
    ],
)
def test_a_file_in_the_key_can_be_read(project, reader, declared):
    """Files that `inputs` lists, alone or in a folder, and files read while loading can be read."""
    project.write("recipes/own/file.txt", "own")
    folder = project.make(f"{declared}\ninstall = function(ctx) {READERS[reader]} end")
    assert tree(folder) == {"file.txt": "own"}


def test_a_patch_of_the_recipes_folder_is_named_as_its_input(project):
    """ctx.patch finds a declared patch beside the recipe."""
    project.write("recipes/patches/a.patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-two\n+three\n")
    folder = project.make(
        """inputs = { "patches/*.patch" }
        install = function(ctx) ctx.write("f", "two\\n") ctx.patch("patches/a.patch") end"""
    )
    assert tree(folder) == {"f": "three\n"}


PATCH = '"--- a/f\\n+++ b/f\\n@@ -1,3 +1,3 @@\\n a\\n b\\n-c\\n+x\\n"'


def patching(text, options="", head=""):
    """The body of a recipe that patches a file with this text."""
    return f"""{head}
    install = function(ctx)
      ctx.write("f", "{text}")
      ctx.patch({PATCH}{options})
      ctx.patch("--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-q\\n+r\\n")
    end"""


def test_a_recipe_that_patches_without_host_gets_one_warning(project):
    """The patch program decides about the content, so it belongs into the key."""
    text = "a\\nb\\nc\\n"
    twice = patching(text).replace("-q", "-a").replace("+r", "+z")
    run = project.sync_one(twice)
    assert run.err.count('which is not in the key of local.one@r1: add host = { "patch" }') == 1
    run = project.sync_one('host = { "patch" }\n' + twice)
    assert "warn" not in run.err
    assert tree(run.folder("local.one@r1")) == {"f": "z\nb\nx\n"}
    assert '"patch":' in (run.folder("local.one@r1").parent / "envy-ingredients.json").read_text()


def test_another_patch_program_gives_another_key(project, tmp_path):
    """With host = { "patch" }, the version of the program is part of the key."""
    body = 'host = { "patch" }\ninstall = "echo > out"'
    for version in ("1", "2"):
        program = tmp_path / "bin/patch"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        project.make(body, env={"PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert len(project.entries()) == 2


def test_fuzz_must_be_a_number_of_lines(project):
    """`fuzz` is checked, and so are the names of the options."""
    for options, message in (
        ({"fuzz": '"1"'}, "`fuzz` must be a number of lines from 0 on"),
        ({"fuzz": "-1"}, "`fuzz` must be a number of lines from 0 on, not -1"),
        ({"fuz": "1"}, 'did you mean "fuzz"'),
    ):
        [(name, value)] = options.items()
        run = project.sync_one(patching("x", f", {{ {name} = {value} }}"), code=1)
        assert message in run.err


def test_git_does_not_climb_out_of_the_cache(project):
    """A cache inside of a repository: git in a script finds no repository, but its own."""
    subprocess.run(["git", "init", "-q", project.cache.parent], check=True)
    folder = project.make(
        """install = function(ctx)
          ctx.run("git rev-parse --show-toplevel > above || echo none > above")
          ctx.run("mkdir own; cd own; git init -q; cd ..; mkdir own/sub; cd own/sub; "
            .. "git rev-parse --show-toplevel > ../../found; rm -r ../.git; touch x")
        end"""
    )
    assert (folder / "above").read_text() == "none\n"
    assert (folder / "found").read_text().endswith("/own\n")
