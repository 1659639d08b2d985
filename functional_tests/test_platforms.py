"""`platforms` excludes packages of other platforms; constants name the platform."""

import platform
import sys

import pytest
from project import tree

HERE = "darwin" if sys.platform == "darwin" else "linux"
ELSEWHERE = "linux" if HERE == "darwin" else "darwin"
MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


@pytest.mark.parametrize(
    ("filters", "included"),
    [
        (f'"{HERE}"', True),
        (f'"{HERE}-{MACHINE}"', True),
        (f'"{ELSEWHERE}", "{HERE}"', True),
        (f'"{HERE}-amd64", "{HERE}-aarch64"', True),
        (f'"{ELSEWHERE}"', False),
        ('"windows"', False),
    ],
)
def test_an_entry_for_another_platform_is_excluded(project, filters, included):
    """An entry for another platform is not installed, and not found by queries."""
    project.manifest(
        f"""packages = {{ "local.always@r1",
          {{ recipe = "local.one@r1", platforms = {{ {filters} }} }} }}"""
    )
    for name in ("always", "one"):
        project.recipe(f"local.{name}@r1", 'install = "touch x"')
    project.envy("sync")
    assert ("local.one@r1" in project.markers()) == included
    project.envy("asset", "one", code=0 if included else 1)


def test_a_recipe_for_another_platform_is_excluded(project):
    """A recipe may name its platforms; on others, its dependencies are not fetched."""
    project.packages("local.always@r1", "local.one@r1")
    project.recipe("local.always@r1", 'install = "touch x"')
    project.recipe(
        "local.one@r1",
        f'platforms = {{ "{ELSEWHERE}" }}\n'
        'dependencies = { "local.missing@r1" }\ninstall = "touch x"',
    )
    assert "1 package," in project.envy("sync").err
    run = project.envy("asset", "one", code=1)
    assert "no package answers to 'one'" in run.err


def test_naming_an_excluded_recipe_is_an_error(project):
    """sync QUERY of a recipe for another platform is an error."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'platforms = {{ "{ELSEWHERE}" }}\ninstall = "touch x"')
    project.envy("sync", "one", code=1)


def test_a_dependency_for_another_platform_is_excluded(project):
    """An entry of `dependencies` may name its platforms."""
    project.packages("local.app@r1")
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ {{ recipe = "local.none@r1", platforms = {{ "{ELSEWHERE}" }} }} }}
        install = "touch x" """,
    )
    project.envy("sync")


def test_depending_on_an_excluded_recipe_is_an_error(project):
    """A strong dependency on a recipe for another platform is an error with a remedy."""
    project.packages("local.app@r1")
    project.recipe("local.one@r1", f'platforms = {{ "{ELSEWHERE}" }}\ninstall = "touch x"')
    project.recipe("local.app@r1", 'dependencies = { "local.one@r1" }\ninstall = "touch x"')
    run = project.envy("sync", code=1)
    assert f"local.one@r1 is not for {HERE}-{MACHINE}" in run.err
    assert "platforms" in run.err


def test_a_product_for_another_platform_is_excluded(project):
    """A product may name its platforms."""
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        f"""install = "echo here > a; echo elsewhere > b"
        products = {{
          a = {{ path = "a", kind = "file", platforms = {{ "{HERE}" }} }},
          b = {{ path = "b", kind = "file", platforms = {{ "{ELSEWHERE}" }} }},
        }}""",
    )
    project.recipe(
        "local.app@r1",
        """dependencies = { "local.one@r1" }
        install = function(ctx)
          ctx.copy(ctx.product("a"), "a")
          ctx.write("b", tostring(pcall(ctx.product, "b")))
        end""",
    )
    project.packages("local.app@r1")
    folder = project.envy("sync").folder("local.app@r1")
    assert tree(folder) == {"a": "here\n", "b": "false"}


def test_an_unknown_platform_lists_the_known_platforms(project):
    """An unknown platform is an error that lists the known platforms."""
    project.manifest('packages = { { recipe = "local.one@r1", platforms = { "linus" } } }')
    run = project.envy("sync", code=1)
    assert "linus" in run.err
    assert "linux" in run.err


def test_constants_name_the_platform(project):
    """Constants in manifests and recipes name the platform, and per_platform selects by it."""
    project.manifest(
        """assert(ENVY_PLATFORM and ENVY_ARCH)
        packages = { "local." .. (ENVY_PLATFORM == "windows" and "no" or "one") .. "@r1" }"""
    )
    project.recipe(
        "local.one@r1",
        f"""local picked = envy.per_platform({{ ["{HERE}"] = "by os", {ELSEWHERE} = "no" }})
        install = function(ctx)
          local found = {{ ENVY_PLATFORM, ENVY_ARCH, ENVY_PLATFORM_ARCH, picked }}
          ctx.write("p", table.concat(found, " "))
          assert(ENVY_OS_VERSION ~= "")
        end""",
    )
    folder = project.envy("sync").folder("local.one@r1")
    assert tree(folder) == {"p": f"{HERE} {MACHINE} {HERE}-{MACHINE} by os"}
