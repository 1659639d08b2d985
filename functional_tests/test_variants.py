"""Variants of one package, and what compilers find of the run closures of dependencies."""

import pytest

ZLIB = """options = { pic = { type = "boolean", default = false } }
install = "echo > z"
exports = { cmake_prefix = { "." }, pkg_config = { "lib" }, path = { "bin" } }"""
NEEDS = 'dependencies = {{ {{ recipe = "local.{}@r1"{} }} }}\ninstall = "echo > x"\n'
PIC = ", options = { pic = true }"
LIBRARY = 'exports = { cmake_prefix = { "." } }'
TOOL = 'exports = { path = { "bin" } }'
PRINT = """
install = function(ctx)
  ctx.run('echo "$CMAKE_PREFIX_PATH" > cmake; echo "$PKG_CONFIG_PATH" > pkg; echo "$PATH" > path')
end"""
APP = 'dependencies = { { recipe = "local.one@r1" }, { recipe = "local.two@r1" } }' + PRINT


@pytest.fixture
def world(project):
    """local.app needs local.one and local.two, which need two variants of local.zlib."""
    project.packages("local.app@r1")
    project.recipe("local.zlib@r1", ZLIB)
    project.recipe("local.one@r1", NEEDS.format("zlib", "") + LIBRARY)
    project.recipe("local.two@r1", NEEDS.format("zlib", PIC) + LIBRARY)
    project.recipe("local.app@r1", APP)
    return project


def prefixes(run):
    """The identities in the printed CMAKE_PREFIX_PATH, in order."""
    rows = (run.folder("local.app@r1") / "cmake").read_text().strip().split(":")
    return [row.split("/assets/")[1].split("/")[0] for row in rows if row]


def test_two_variants_that_meet_are_an_error_that_names_both(world):
    """The error names both variants, who brought them, and what to do."""
    run = world.envy("sync", code=1)
    assert "two variants of local.zlib meet in the `cmake_prefix` or `pkg_config` of" in run.err
    assert "local.app@r1 → local.one@r1 → local.zlib@r1\n" in run.err
    assert "local.app@r1 → local.two@r1 → local.zlib@r1{pic=true}\n" in run.err
    assert 'variants = "both"' in run.err


def test_two_revisions_are_variants_too(world):
    """A compiler that finds two revisions of one package is misled just as much."""
    world.recipe("local.zlib@r2", ZLIB)
    world.recipe("local.two@r1", NEEDS.format("zlib", "").replace("zlib@r1", "zlib@r2") + LIBRARY)
    assert "→ local.zlib@r2\n" in world.envy("sync", code=1).err


@pytest.mark.parametrize(
    "body",
    [
        'variants = "both"\n' + APP,
        APP.replace(
            "dependencies = {",
            'dependencies = { { recipe = "local.zlib@r1" }, { recipe = "local.zlib@r1"'
            + PIC
            + " },",
        ),
    ],
)
def test_both_may_be_meant(world, body):
    """A recipe that says so, or declares both itself, gets both."""
    world.recipe("local.app@r1", body)
    assert prefixes(world.envy("sync")).count("local.zlib@r1") == 2


def test_declaring_one_of_them_is_not_enough(world):
    """A recipe that declares one variant did not choose the other."""
    body = APP.replace("dependencies = {", 'dependencies = { { recipe = "local.zlib@r1" },')
    world.recipe("local.app@r1", body)
    assert "local.app@r1 → local.zlib@r1\n" in world.envy("sync", code=1).err


@pytest.mark.parametrize("exports", [TOOL, ""])
def test_what_a_tool_runs_with_is_not_searched(world, exports):
    """The run closure of a dependency without either export is not found, but is on the PATH."""
    world.recipe("local.two@r1", NEEDS.format("zlib", PIC) + exports)
    run = world.envy("sync")
    assert prefixes(run) == ["local.one@r1", "local.zlib@r1"]
    assert (run.folder("local.app@r1") / "pkg").read_text().count("/lib") == 1
    assert (run.folder("local.app@r1") / "path").read_text().count("local.zlib@r1") == 2


def test_variants_has_one_value(world):
    """Anything but "both" is an error."""
    world.recipe("local.app@r1", "variants = true\n" + APP)
    assert '`variants` can only be "both"' in world.envy("sync", code=1).err
