"""What fails about the sources of a package is reported under `fetch`, before anything is fetched.

A custom fetch that fails while it works is in test_bad_scripts.
"""

import pytest
from loopback.git_repository import GitRepository
from mistakes import one_fails

LINE = "recipes/local.one@r1.lua:2"


@pytest.mark.parametrize(
    ("body", "reason", "where"),
    [
        ('fetch = function() error("no mirror") end', "no mirror", LINE),
        (
            "fetch = function() return 42 end",
            "the function returned 42: a source must be a string or a table with `source`",
            LINE,
        ),
        (
            'fetch = function() return { source = "x", sha = "1" } end',
            'the function returned a table: a source has no field "sha"',
            LINE,
        ),
        (
            'fetch = function(ctx) ctx.run("true"); return true end',
            "the function returned true: a source must be",
            LINE,
        ),
        (
            'fetch = function() return "ftp://x/y" end',
            'the function returned "ftp://x/y": envy does not support "ftp:"',
            LINE,
        ),
        ('fetch = "missing.tar.gz"', "missing.tar.gz does not exist", LINE),
        ('fetch = function() return "missing.txt" end', "missing.txt does not exist", LINE),
        (
            'fetch = { source = "no-such-repository.git", ref = "main" }',
            "no-such-repository.git",
            LINE,
        ),
    ],
    ids=["raises", "number", "field", "acts", "scheme", "missing", "missing-returned", "git"],
)
def test_what_is_wrong_with_sources_is_reported_under_fetch(project, body, reason, where):
    """A failing function, its bad value, a missing file and an unknown ref are named there."""
    one_fails(project, body, "local.one@r1: fetch failed", reason, where=where)
    run = project.envy("sync", code=1)
    [failed] = run.named("phase_failed")
    assert failed["phase"] == "fetch"


def test_a_ref_that_does_not_exist_is_reported_under_fetch(project, tmp_path):
    """The ref is looked up for the key, long before the repository is fetched."""
    repository = GitRepository(tmp_path / "repositories")
    repository.commit({"file": "1"})
    body = f'fetch = {{ source = "{repository.path}", ref = "nowhere" }}'
    one_fails(project, body, "local.one@r1: fetch failed", "nowhere")


def test_other_mistakes_stay_where_they_are(project):
    """A pattern of `inputs` that matches nothing is no mistake of fetch."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'inputs = { "nothing.*" }\ninstall = "true"')
    assert "fetch failed" not in project.envy("sync", code=1).err


@pytest.mark.parametrize(("value", "shown"), [("42", "42"), ("{}", "an empty table")])
def test_the_value_of_a_check_is_shown_as_lua_writes_it(project, value, shown):
    """`check` names what its function returned in Lua's terms."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'check = function() return {value} end\ninstall = "true"')
    err = project.envy("sync", "--yes", code=1).err
    assert f"`check` must return true, false, or a script, not {shown}" in err
