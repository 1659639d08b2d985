"""The environment of programs: choosing the provider of a name, and applying variables."""

import pytest

from envy.answers.project_environment import (
    OUTSIDE,
    ProductNotRun,
    ProjectEnvironment,
    Provider,
    choose_provider,
    joined_folders,
    nearest_providers,
)


def provider(package, distance):
    return Provider(package=package, entry=f"{package}/x", distance=distance)


NEAR, ALSO_NEAR, FAR = provider("near", 1), provider("also", 1), provider("far", 2)
BUILD = provider("build", OUTSIDE)


@pytest.mark.parametrize(
    ("found", "nearest"),
    [
        ([], []),
        ([FAR, NEAR, BUILD], [NEAR]),
        ([NEAR, FAR, ALSO_NEAR], [NEAR, ALSO_NEAR]),
        ([BUILD, FAR], [FAR]),
        ([BUILD], [BUILD]),
    ],
)
def test_the_nearest_providers(found, nearest):
    """Packages outside of the environment count only where there is no other."""
    assert nearest_providers(found) == nearest


def test_a_name_runs_the_only_nearest_provider():
    """A name without a provider is left to PATH."""
    environment = ProjectEnvironment(providers={"tool": [NEAR]})
    assert choose_provider(environment, "tool") is NEAR
    assert choose_provider(environment, "other") is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([NEAR, ALSO_NEAR], "both near and also provide the product 'tool'"),
        ([BUILD], "tool is a product of build, which is not in the environment: it is needed"),
    ],
)
def test_a_name_that_runs_nothing(found, message):
    """The error names the packages and what to do; PATH is not searched."""
    with pytest.raises(ProductNotRun, match=message) as error:
        choose_provider(ProjectEnvironment(providers={"tool": found}), "tool")
    assert "envy run --with" in error.value.hint


def test_variables_are_applied(tmp_path):
    """The file replaces the manifest's variables; folders come before those that result."""
    (tmp_path / ".env").write_text("A=file\nCMAKE_PREFIX_PATH=/file")
    environment = ProjectEnvironment(
        folders={"PATH": ["/a", "/b"], "CMAKE_PREFIX_PATH": ["/c"]},
        variables={"A": "manifest", "B": "manifest"},
        dotenv=str(tmp_path / ".env"),
    )
    assert environment.applied_to({"PATH": "/b:/usr/bin", "B": "user", "C": "user"}) == {
        "A": "file",
        "B": "manifest",
        "C": "user",
        "PATH": "/a:/b:/usr/bin",
        "CMAKE_PREFIX_PATH": "/c:/file",
    }


@pytest.mark.parametrize(
    ("folders", "old", "joined"),
    [
        ([], "", ""),
        (["/a", "/a"], "", "/a"),
        (["/a"], "/b:/a:/b", "/a:/b"),
        (["/a"], "/b::/c:", "/a:/b::/c"),
    ],
)
def test_each_folder_once(folders, old, joined):
    """The first of equal folders is kept; an empty one means the current directory."""
    assert joined_folders(folders, old) == joined
