"""The text of new recipes: every template is a recipe, whatever it is filled with."""

import re

import pytest

from envy.declarations.definition import parse_definition
from envy.declarations.new_recipe import NewRecipe, recipe_text
from envy.declarations.recipe_templates import TEMPLATES
from envy.declarations.spec import RecipeSpec
from envy.errors import SourceLocation
from envy.lua.quiet_state import quiet_state

HOSTILE = "a'b\"]]--\\ \n$(x)"
FACTS = {
    "name": "it",
    "source": f"https://example.com/{HOSTILE}/it",
    "pin": ("sha256", "a" * 64),
    "products": {"it": "bin/it"},
}
VARIATIONS = [
    *({"kind": kind} for kind in TEMPLATES),
    {"kind": "archive", "strip": 1, "executable": (HOSTILE,), "platform": "linux-x86_64"},
    {"kind": "archive", "products": {f"program-{i}": f"x/{i}" for i in range(12)}},
    {"kind": "make", "strip": 1, "make_installs": False},
    {"kind": "cmake", "is_library": True, "products": {}},
    {"kind": "binary", "dest": "bin/it"},
    {"kind": "venv", "requirements": ("six==1", HOSTILE)},
    {"kind": "npm", "package": "@a/b@1.0.0"},
    {"kind": "user-managed", "check": HOSTILE, "install": HOSTILE},
]


@pytest.mark.parametrize("variation", VARIATIONS, ids=str)
def test_a_template_is_a_recipe(variation, tmp_path):
    """It loads, declares what it was filled with, and has no place left."""
    new = NewRecipe(**(FACTS | variation))
    text = recipe_text(new)
    assert "<<" not in text
    assert not re.search(r"\n\n\n|[ \t]\n", text)
    path = tmp_path / "recipe.lua"
    state = quiet_state(tmp_path, environment={})
    state.load_file(path, text.encode())
    values = state.user_globals(GLOBALS)
    spec = RecipeSpec(identity="local.it@r1", source=None, origin=SourceLocation(path))
    definition = parse_definition(values, spec=spec, path=path, text=text)
    assert definition.identity == "local.it@r1"
    if "source" in text and isinstance(definition.fetch, tuple):
        assert definition.fetch[0].source == FACTS["source"]
    if variation.get("check"):
        assert definition.check == HOSTILE
    assert set(definition.products) == (set() if new.kind == "user-managed" else set(new.products))
    state.close()


GLOBALS = {
    *("identity", "platforms", "host", "dependencies", "secret_env", "fetch", "stage", "build"),
    *("install", "check", "products", "exports"),
}
