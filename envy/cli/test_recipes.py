"""Tests of recipes in `envy test`: which patterns match some, and their driver."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envy.cli.test_setup import RunContext, run_settings
from envy.cli.wiring import open_session
from envy.declarations.manifest_search import find_manifest
from envy.declarations.shipped import shipped_recipes_dir
from envy.declarations.sources import Scheme, SourceItem, local_path, scheme_of
from envy.declarations.test_rules import TestRule
from envy.errors import EnvyError
from envy.testing.drivers.recipe.files import (
    find_test_files,
    is_for_a_recipe,
    is_test_file,
    recipe_of,
)
from envy.testing.package import NothingMatched

if TYPE_CHECKING:
    from envy.engine.session import Session
    from envy.testing.package import Driver


def matches_recipes(root: Path, word: str) -> bool:
    """Return whether a pattern matches tests of recipes.

    Raises:
        NothingMatched: it names a file of tests that is missing, or whose recipe is.
    """
    if find_test_files(root, [word]):
        path = root / word
        if is_test_file(path.name) and not is_for_a_recipe(path):
            raise NothingMatched(
                f"{word} is a file of tests, and beside it is no recipe {recipe_of(path).name}",
                hint="a recipe declares its `identity`",
            )
        return True
    if word.endswith(".lua"):
        if not (root / word).exists():
            raise NothingMatched(f"there is no file {word}")
        tests = f"{word.removesuffix('.lua')}_test.lua"
        raise NothingMatched(
            f"{word} has no tests", hint=f"they are in {tests}; docs/recipe-tests.md describes them"
        )
    return False


def folders_of_manifest(context: RunContext) -> list[str]:
    """Return the folders outside of the manifest's with tests of recipes that it uses.

    Only where the command runs beside the manifest, and so tests the whole project. A manifest
    that cannot be loaded names none: whatever else is tested does not need it.
    """
    settings = context.settings
    try:
        # The global manifest is of no project.
        path = find_manifest(context.directory, named=settings.manifest)
    except EnvyError:
        return []
    if path.parent != context.directory:
        return []
    import dataclasses

    quiet = dataclasses.replace(
        settings, manifest=path, trace_file=None, trace_timeline=None, trace_stderr=False,
        jobs=None, quiet=True,
    )  # fmt: skip
    with contextlib.suppress(EnvyError), open_session(quiet, owns_stdout=True) as session:
        return _folders_of(session, context.directory)
    return []


def _folders_of(session: Session, here: Path) -> list[str]:
    items = [spec.source for spec in session.manifest.packages]
    folders = {
        str(local_path(item).parent)
        for item in items
        if isinstance(item, SourceItem) and _is_local(item) and local_path(item).is_file()
    } - {str(shipped_recipes_dir())}  # whose tests are envy's, not the project's
    patterns = folders | {
        f"{local_path(bundle.item)}/..."
        for bundle in session.manifest.bundles
        if _is_local(bundle.item)
    }
    inside = f"{here}/"
    outside = [
        os.path.normpath(one)
        for one in patterns
        if not f"{os.path.normpath(one)}/".startswith(inside)
    ]
    return [one for one in sorted(outside) if find_test_files(here, [one])]


def _is_local(item: SourceItem) -> bool:
    return scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE}


def make_recipe_driver(context: RunContext, rules: tuple[TestRule, ...] = ()) -> Driver:
    """Return the driver of tests of recipes for one run."""
    from envy.testing.drivers.recipe.driver import RecipeDriver

    options = context.options
    return RecipeDriver(
        run_settings(context.settings, options, rules),
        root=context.directory,
        children=context.children,
        environment=context.environment,
        count=options.count or 1,
    )


def recipe_patterns(context: RunContext, matching: Sequence[str]) -> list[str]:
    """Return the patterns of the driver: those that match, and without any, the manifest's, too."""
    if context.options.patterns:
        return list(matching)
    return [*matching, *folders_of_manifest(context)]
