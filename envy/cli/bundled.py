"""The recipes in the bundles of the manifest, for `envy add`, `envy list` and `envy search`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envy.cache.resolutions import Upstream
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_lines, write_line
from envy.declarations.bundles import Bundle
from envy.declarations.key import RecipeKey
from envy.declarations.shipped_table import ShippedRecipe, described_recipe
from envy.declarations.spec import BUNDLED, RecipeSpec
from envy.declarations.tool_name import NamedTool, check_version, is_shipped_name
from envy.engine.session import Session
from envy.errors import Cancelled, EnvyError
from envy.suggest import nearest


@dataclass(frozen=True, slots=True)
class BundledRecipe:
    """A recipe of a bundle, and the bundle as messages show it."""

    recipe: ShippedRecipe
    bundle: str


def bundled_recipes(settings: Settings) -> tuple[list[BundledRecipe], bool]:
    """Return the recipes in the bundles of the manifest, by identity, and whether these are all.

    A bundle that this project has had before is taken as it was. What cannot be read is left out,
    with a warning.

    Raises:
        ManifestError: there is no manifest, or it is not valid.
    """
    with open_session(
        settings, owns_stdout=True, installs=False, upstream=Upstream.REMEMBERED
    ) as session:
        found = [
            row for one in session.manifest.bundles for row in _recipes_of(one, session, settings)
        ]
    known = sorted(filter(None, found), key=lambda row: (row.recipe.identity, row.bundle))
    return known, len(known) == len(found)


def _recipes_of(
    bundle: Bundle, session: Session, settings: Settings
) -> Iterator[BundledRecipe | None]:
    """Yield the recipes of a bundle, and None for what cannot be read."""
    try:
        opened = session.releases.bundle(bundle)
    except Cancelled:
        raise
    except EnvyError as error:
        warn(error)
        yield None
        return
    for identity in opened.map.recipes:
        try:
            recipe = described_recipe(
                RecipeSpec(identity=identity, source=BUNDLED, origin=opened.map.at(identity)),
                opened.path_of(identity),
                name=identity,
                shared_dir=opened.folder,
                environment=settings.environment,
            )
        except EnvyError as error:
            warn(error)
            yield None
        else:
            yield BundledRecipe(recipe, bundle.shown)


def warn(error: EnvyError) -> None:
    """Print an error as a warning."""
    for line in safe_lines(f"warning: {error}"):
        write_line(sys.stderr, line)


def bundled_tool(word: str, settings: Settings) -> NamedTool | None:
    """Return the recipe of a bundle that a word of `envy add` names, with its version.

    None is returned if the word is the name of a recipe that ships with envy, or there are no
    bundles.

    Raises:
        EnvyError: no recipe or several have this name, or it does not take the version.
    """
    if is_shipped_name(word):
        return None
    rows, _is_whole = bundled_recipes(settings)
    if not rows:
        return None
    name, _, version = word.partition("@")
    exact = [row for row in rows if row.recipe.identity == word]
    found = exact or [row for row in rows if name in _names_of(row.recipe.identity)]
    if len(found) > 1:
        listed = "".join(f"\n    {row.recipe.identity}, of {row.bundle}" for row in found)
        raise EnvyError(
            f"{word} names {len(found)} recipes of the bundles:{listed}",
            hint="write the whole identity"
            if len({row.recipe.identity for row in found}) > 1
            else "remove one of the bundles, or write an entry with `source` yourself",
        )
    if not found:
        known = {name: row for row in rows for name in _names_of(row.recipe.identity)}
        near = nearest(word, known) or nearest(name, known)
        raise EnvyError(
            f'neither the recipes that ship with envy nor the {len(rows)} of the bundles have "'
            f'{word}"',
            hint=f'did you mean "{near}", of {known[near].bundle}?'
            if near
            else "`envy list --bundles` and `envy list --shipped` list them",
        )
    wanted = "" if exact else version
    check_version(found[0].recipe, wanted)
    return NamedTool(found[0].recipe, wanted)


def _names_of(identity: str) -> Sequence[str]:
    """Return the words that name a recipe: its identity, and that without one end or both."""
    key = RecipeKey.of(identity)
    return identity, identity.rpartition("@")[0], key.name
