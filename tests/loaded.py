"""Records of recipes as recipe_fetch would leave them, for tests that load no file."""

from envy.declarations.definition import RecipeDefinition
from envy.declarations.tables import NO_EXPORTS
from envy.graph.recipe import LoadedRecipe
from envy.lua.sandbox import ReadLog


def loaded_recipe(definition: RecipeDefinition, **said) -> LoadedRecipe:
    """What a recipe's file said, if it holds data only; `said` gives more of the fields."""
    fields = {"exports": NO_EXPORTS, "provides": {}, "function_names": (), **said}
    return LoadedRecipe(
        path=definition.path, digest="", text="", definition=definition, reads=ReadLog(), **fields
    )
