"""Messages that say what is so: warnings once, hints that help, tails without noise."""

import resource

import pytest
from project import Project

TOOL = 'install = "touch x"'


def test_a_typo_is_reported_once_a_file(project):
    """Three variants of one package load the file; its typo is one warning, as is a manifest's."""
    rows = "".join(f'{{ recipe = "local.a@r1", options = {{ n = {n} }} }}, ' for n in range(3))
    project.manifest(f"packages = {{ {rows} }}\ndefalt_shell = 1\n")
    options = "options = { n = { type = 'integer' } }\n"
    project.recipe("local.a@r1", options + "exprts = {}\n" + TOOL)
    err = project.envy("sync").err
    assert err.count("envy does not use the global `exprts`; did you mean `exports`?") == 1
    assert err.count("envy does not use the global `defalt_shell`") == 1
    assert err.count("warning: ") == 2


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        ('"ninja"', "did you mean envy.ninja@r1?"),
        ('{ recipe = "ninja" }', "did you mean envy.ninja@r1?"),
        (
            '{ recipe = "vendor.x@r1", fetch = function() end }',
            "hint: write source = { fetch = … }",
        ),
    ],
)
def test_an_entry_that_is_almost_right(project, packages, message):
    """The error has what its author meant."""
    project.manifest(f"packages = {{ {packages} }}")
    assert message in project.envy("sync", code=1).err


def test_fetch_in_a_dependency(project):
    """Dependencies have the same hint."""
    body = 'dependencies = { { recipe = "vendor.x@r1", fetch = function() end } }\n' + TOOL
    assert "hint: write source = { fetch = … }" in project.sync_one(body, code=1).err


def test_the_end_of_a_log_has_no_debug_messages(project):
    """They stay in the log, but are not quoted with an error."""
    run = project.sync_one(
        "install = function(ctx)\n  envy.debug('noise')\n  ctx.run('echo said; exit 3')\nend",
        code=1,
    )
    assert "    said\n" in run.err
    assert "noise" not in run.err


def test_the_version_of_patch_is_not_in_the_log(project):
    """Only what was patched is."""
    project.write("recipes/a.patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n")
    run = project.sync_one(
        'inputs = { "a.patch" }\nhost = { "patch" }\n'
        'install = function(ctx)\n  ctx.write("f", "three\\n")\n'
        '  ctx.patch(ctx.recipe_dir .. "/a.patch")\nend',
        code=1,
    )
    assert "does not apply" in run.err
    [log] = project.cache.glob("logs/local.one@r1/*/*/install.log")
    assert "--version" not in log.read_text()
    assert "--version" not in run.err


def test_a_cache_whose_path_has_a_space(tmp_path):
    """A run that builds warns once; one that finds everything does not."""
    project = Project(tmp_path / "project", cache=tmp_path / "my cache")
    project.packages("local.a@r1", "local.b@r1")
    for name in "ab":
        project.recipe(f"local.{name}@r1", TOOL)
    err = project.envy("sync").err
    assert err.count("contains a space: most packages that are built with autotools or make") == 1
    assert "a space" not in project.envy("sync").err


def test_too_many_open_files_are_named_with_the_limit(project):
    """Whatever needs the first file too many, the error has the limit and `ulimit -n`."""
    for name in "abcdef":
        project.recipe(f"local.{name}@r1", TOOL)
    project.packages(*(f"local.{name}@r1" for name in "abcdef"))

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    run = project.envy("sync", "--jobs", "6", code=1, trace=False, preexec_fn=limit)
    assert "Traceback" not in run.err
    assert "the limit of open files, 14, is reached: raise it (ulimit -n)" in run.err
