"""`envy why-rebuild` and `sync --verbose`: what changed since the last build of a package."""

import pytest

BASE = 'identity = "local.base@r1"\ninstall = "echo 1 > one"\n'
USER = """
options = { level = { type = "string", default = "low" } }
inputs = { "input.txt" }
pass_env = { "LEVEL" }
dependencies = { { recipe = "local.base@r1", source = "local.base@r1.lua" } }
install = "echo $ENVY_OPTION_LEVEL > level"
"""


@pytest.fixture
def built(project):
    """A package with an option, an input, a variable and a dependency, built."""
    project.manifest('packages = { "local.user@r1" }\n')
    project.write("recipes/local.base@r1.lua", BASE)
    project.write("recipes/input.txt", "first")
    project.recipe("local.user@r1", USER)
    project.envy("sync", env={"LEVEL": "1"})
    return project


def why(project, level="1"):
    return project.envy("why-rebuild", "user", env={"LEVEL": level}).out


def test_nothing_changed(built):
    """A package that is in the cache would not be built."""
    assert "local.user@r1 would not be built: it is in the cache" in why(built)


def test_recipe_line(built):
    """A changed line of the recipe is shown with its number, before and after."""
    built.recipe("local.user@r1", USER.replace("> level", "> LEVEL"))
    output = why(built)
    assert "recipe line 7: install = " in output
    assert "> LEVEL" in output


def test_option(built):
    """A changed option is shown with both values."""
    built.manifest(
        'packages = { { recipe = "local.user@r1", source = "recipes/local.user@r1.lua",\n'
        '  options = { level = "high" } } }\n'
    )
    assert 'option level: "low" → "high"' in why(built)


def test_input(built):
    """A changed input is named."""
    built.write("recipes/input.txt", "second")
    assert "input input.txt changed" in why(built)


def test_variable(built):
    """A variable of pass_env is shown with both values."""
    assert "variable LEVEL (pass_env): 1 → 2" in why(built, level="2")


def test_dependency(built):
    """A changed dependency is explained by what changed in it."""
    built.write("recipes/local.base@r1.lua", BASE.replace("echo 1", "echo 2"))
    output = why(built).splitlines()
    index = output.index("  dependency local.base@r1 changed")
    assert output[index + 1].startswith("    recipe line 2: install")


def test_another_revision(built):
    """A new revision is compared with the previous one."""
    built.manifest('packages = { "local.user@r2" }\n')
    built.recipe("local.user@r2", USER)
    output = built.envy("why-rebuild", "user", env={"LEVEL": "1"}).out
    assert "identity: local.user@r1 → local.user@r2" in output


def test_nothing_is_built(built):
    """An explanation runs no script."""
    built.recipe("local.user@r1", USER.replace("> level", "> LEVEL"))
    run = built.envy("why-rebuild", "user", env={"LEVEL": "1"})
    assert run.named("lua_ctx_run_start") == []
    assert built.envy("asset", "--no-install", "user", env={"LEVEL": "1"}, code=1)


def test_first_build(project):
    """A package that was never built has no earlier entry to compare with."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", 'install = "echo x > x"')
    output = project.envy("why-rebuild", "hello").out
    assert "would be built: it has not been built yet" in output
    assert "there is no earlier entry" in output


def test_verbose_sync_explains_every_miss(built):
    """sync --verbose shows what changed, for a package and for its dependents."""
    built.write("recipes/local.base@r1.lua", BASE.replace("echo 1", "echo 2"))
    output = built.envy("sync", "--verbose", env={"LEVEL": "1"}).err
    assert "not cached local.base@r1: it has changed since the last build; recipe line 2" in output
    changed = "it has changed since the last build; dependency local.base@r1 changed"
    assert f"not cached local.user@r1: {changed}" in output
