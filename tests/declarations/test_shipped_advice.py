"""How to add a recipe that ships with envy, in the hints of errors."""

import pytest

from envy.declarations.shipped import advice_to_add


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("cmake", "cmake"),
        ("ctest", "cmake"),
        ("gofmt", "go"),
        ("lua", "lua"),
        ("ninja", "ninja"),
        ("envy.ninja", "ninja"),
        ("envy.ninja@r1", "ninja"),
        ("node", "node"),
        ("python3", "python"),
        ("uvx", "uv"),
        ("zig", "zig"),
        ("git-hooks", "git-hooks"),
    ],
)
def test_a_product_or_a_name_leads_to_its_recipe(name, recipe):
    """A shipped recipe is found by its name, its identity and its products."""
    assert advice_to_add(name) == f'add "envy.{recipe}@r1" to `packages` in the manifest'


@pytest.mark.parametrize("name", ["", "bin", "path", "envy", "version", "/ninja"])
def test_any_other_name_has_no_advice(name):
    """A word that only occurs in a recipe leads nowhere."""
    assert advice_to_add(name) == ""
