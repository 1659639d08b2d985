"""Limits as a user meets them: the error names the limit, and ENVY_LIMITS raises it."""

import os

import pytest


@pytest.fixture
def hello(project):
    """A project with one package."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", 'install = "echo hello > hello"')
    return project


@pytest.mark.parametrize("nested", ["[" * 5000, '{"format":1,"key":' + "[" * 900 + "]" * 900 + "}"])
def test_a_nested_marker_is_a_miss_that_says_so(hello, nested):
    """With a nested marker, every command works, and the next sync builds the package again."""
    hello.envy("sync")
    ((_, entry),) = hello.entries()
    (entry / "envy-complete").write_text(nested)
    for words in (("cache",), ("cache", "--json"), ("cache", "gc"), ("plan",)):
        assert "Traceback" not in hello.envy(*words).err
    assert "its marker is damaged" in hello.envy("why-rebuild", "hello").out
    assert "1 installed" in hello.envy("sync").err
    assert "its marker is damaged" not in hello.envy("why-rebuild", "hello").out


@pytest.mark.parametrize("words", [("sync",), ("cache",), ("plan",)], ids=" ".join)
def test_a_limit_that_does_not_exist(hello, words):
    """An unknown limit in ENVY_LIMITS is an error that lists the names of all."""
    run = hello.envy(*words, env={"ENVY_LIMITS": "memory=5G"}, code=2, trace=False)
    assert "error: ENVY_LIMITS: there is no limit 'memory'" in run.err
    assert "the names are archive-header, " in run.err


def test_captured_output(project):
    """A script that prints more than the limit is ended; a raised limit lets it print more."""
    project.packages("local.loud@r1")
    project.recipe(
        "local.loud@r1",
        'install = function(ctx) local r = ctx.run("head -c 5000 /dev/zero", { capture = true })\n'
        '  ctx.write("size", tostring(#r.stdout)) end',
    )
    run = project.envy("sync", env={"ENVY_LIMITS": "captured-output=4096"}, code=1)
    assert "was ended, because it printed more than 4 KiB, the limit captured-output" in run.err
    assert "ENVY_LIMITS=captured-output=8K" in run.err
    assert "recipes/local.loud@r1.lua:2" in run.err
    project.envy("sync", env={"ENVY_LIMITS": "captured-output=5000"})


def test_the_log_of_a_phase(project):
    """A log keeps its head and its tail; an error still quotes the end of the output."""
    script = "for i in $(seq 9999); do echo line $i; done; exit 3"
    project.packages("local.loud@r1")
    project.recipe("local.loud@r1", f'build = "{script}"')
    run = project.envy("sync", env={"ENVY_LIMITS": "script-log=8K"}, code=1)
    assert "line 9999" in run.err
    (log,) = project.cache.rglob("build.log")
    lines = log.read_text().splitlines()
    assert log.stat().st_size <= 8192
    assert lines[1] == "line 1"
    assert lines[-1] == "line 9999"
    (said,) = [line for line in lines if line.startswith("[envy] ")]
    assert said.endswith(" bytes are left out here: the limit script-log is 8 KiB")


def test_the_text_of_an_error(project):
    """An error with a text of megabytes is shortened, wherever it is shown."""
    project.packages("local.loud@r1")
    project.recipe("local.loud@r1", 'install = function() error(string.rep("long ", 1e6)) end')
    run = project.envy("sync", code=1)
    assert len(run.err) < 200_000
    assert "characters are left out here" in run.err


def test_a_template(project):
    """A template of 20,000 spaces is done at once, in a manifest and in a phase."""
    project.packages("local.t@r1")
    project.recipe(
        "local.t@r1",
        'local text = "{{" .. string.rep(" ", 2e5)\n'
        'install = function(ctx) ctx.write("t", envy.template(text, {}) .. '
        "ctx.template(text, {})) end",
    )
    project.envy("sync")


def test_manifests_and_recipe_files_are_plain_and_bounded(project):
    """A huge file is an error that names the limit; an access with a bad argument is traced."""
    project.packages("local.a@r1")
    path = project.recipe("local.a@r1", "install = function(ctx) ctx.asset(5) end")
    run = project.envy("sync", code=1)
    assert "ctx.asset: expected a string, not" in run.err
    [access] = run.named("lua_ctx_asset_access")
    assert not access["allowed"]
    os.truncate(path, 3 << 30)  # sparse
    err = project.envy("sync", code=1).err
    assert "local.a@r1.lua is larger than" in err
    assert "the limit lua-memory" in err
    manifest = project.root / "envy.lua"
    os.truncate(manifest, 3 << 30)
    err = project.envy("sync", code=1).err
    assert "the manifest" in err
    assert "the limit lua-memory" in err
