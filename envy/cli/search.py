"""`envy search`: search the recipes that ship with envy, or a registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from envy.cli.fetch_context import command_context
from envy.cli.manifest_path import manifest_path
from envy.cli.options import envy_command
from envy.cli.output import print_result
from envy.cli.settings import Settings, current_directory
from envy.declarations.shipped_table import ShippedRecipe, shipped_table
from envy.errors import Cancelled, EnvyError, ManifestError, UsageError
from envy.explain.listing import aligned, recipe_rows
from envy.masking import remember_address
from envy.suggest import nearest
from envy.transport.context import FetchContext


@envy_command(
    short_help="Search the recipes of envy and of bundles, or a registry.",
    examples=[
        ("envy search compiler", "recipes with this word in name, description or programs"),
        ("envy search npm:prettier", "the search of your npm registry"),
        ("envy search pypi:black", "the newest version in your package index"),
    ],
)
@click.argument("word", metavar="WORD")
def command(settings: Settings, word: str) -> int:
    """Search the recipes that ship with envy, and those in the manifest's bundles, for WORD.

    With npm:WORD, the registry that your npm is configured for is searched. With pypi:NAME, the
    package index of your pip is asked for this project, which must have exactly that name.
    """
    scheme, colon, text = word.partition(":")
    known: list[ShippedRecipe] = []
    if colon and scheme in {"npm", "pypi"}:
        if not text:
            raise UsageError(f"{word} has no word after the colon", hint=f"envy search {word}NAME")
        rows = _registry_rows(scheme, text, _context(settings))
    else:
        known = [*shipped_table(), *_bundled(settings)]
        rows = recipe_rows(matching(word, known))
    if not rows:
        raise _nothing(word, scheme if colon else "", known)
    print_result("\n".join(rows))
    return 0


def matching(word: str, recipes: Iterable[ShippedRecipe]) -> list[ShippedRecipe]:
    """Return the recipes with a word in their name, description or products, in any case."""
    wanted = word.casefold()
    return [
        recipe
        for recipe in recipes
        if wanted in recipe.name.casefold()
        or wanted in recipe.description.casefold()
        or any(wanted in product.casefold() for product in recipe.products)
    ]


def _bundled(settings: Settings) -> list[ShippedRecipe]:
    """Return the recipes in the bundles of the manifest; none without a valid manifest."""
    from envy.cli.bundled import bundled_recipes, warn

    try:
        manifest_path(settings)
    except ManifestError:
        if settings.manifest:
            raise
        return []
    try:
        return [row.recipe for row in bundled_recipes(settings)[0]]
    except Cancelled:
        raise
    except EnvyError as error:
        warn(error)
        return []


def _context(settings: Settings) -> FetchContext:
    return command_context(settings.environment, offline=settings.offline)


def _registry_rows(scheme: str, text: str, context: FetchContext) -> list[str]:
    from envy.transport.npm_configuration import npm_configuration
    from envy.transport.pip_configuration import pip_configuration
    from envy.transport.registry_search import find_python_package, search_npm

    # Whoever answers may repeat the address, with a password.
    if scheme == "pypi":
        for index in pip_configuration(context).indexes:
            remember_address(index)
        found = [find_python_package(text, context)]
    else:
        folder = current_directory()
        remember_address(npm_configuration("", folder, context).registry)
        found = search_npm(text, folder, context)
    return aligned([(f"{scheme}:{one.name}", one.version, one.description) for one in found])


def _nothing(word: str, scheme: str, known: Sequence[ShippedRecipe]) -> EnvyError:
    if scheme == "npm":
        return EnvyError(f"the npm registry finds nothing for {word.partition(':')[2]}")
    names = [recipe.name for recipe in known]
    bundled = sum(not recipe.identity.startswith("envy.") for recipe in known)
    near = nearest(word, names)
    return EnvyError(
        f"none of the {len(names) - bundled} recipes that ship with envy"
        + (f" and the {bundled} of the bundles" if bundled else "")
        + f" has {word!r} in its name, description or programs",
        hint=f'did you mean "{near}"?'
        if near
        else f"`envy search npm:{word}` and `envy search pypi:{word}` ask registries",
    )
