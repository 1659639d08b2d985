"""The `inputs` of a recipe: which files and folders its patterns match, and their digests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from envy.answers.facts import match_digest
from envy.cache.trees import digest_tree
from envy.content import file_operations
from envy.content.folder_walk import FolderRules, NotTaken, covering
from envy.declarations.locations import location_in_file
from envy.declarations.tables import InputPattern
from envy.errors import DeclarationError
from envy.graph.recipe import Recipe


class Inputs:
    """The inputs of a recipe, searched for when they are first needed."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._found: dict[str, str] | None = None

    def contains(self, path: Path) -> bool:
        """Return whether a file is an input, or is taken with a folder that is one."""
        if self._found is None:
            folder = self._recipe.loaded.recipe_dir
            self._found = {}
            for pattern in self._recipe.loaded.definition.inputs:
                self._found.update(dict.fromkeys(_matches(folder, pattern), pattern.rules))
        return covering(self._found, str(path)) is not None


def inputs_of(recipe: Recipe) -> dict[str, str]:
    """Return the paths that `inputs` match, with the rules of folders.

    Raises:
        DeclarationError: a pattern matches nothing, or two match one folder with different rules.
    """
    definition, folder = recipe.loaded.definition, recipe.loaded.recipe_dir
    found: dict[str, str] = {}
    for pattern in definition.inputs:
        paths = _matches(folder, pattern)
        if not paths:
            raise DeclarationError(
                f"`inputs` names {pattern.pattern!r}, but there is no such file in {folder}",
                origin=location_in_file(definition.path, "inputs"),
                hint="name files or folders beside the recipe, or patterns such as patches/*.patch",
            )
        for path in paths:
            if found.setdefault(path, pattern.rules) != pattern.rules:
                raise DeclarationError(
                    f"`inputs` names {path} twice, with different `exclude` or `follow`",
                    origin=location_in_file(definition.path, "inputs"),
                    hint="name it once, or narrow the other pattern",
                )
    return found


def _matches(folder: Path, pattern: InputPattern) -> list[str]:
    """Return the paths that a pattern matches, without what it leaves out of another match."""
    names = [name.rstrip("/") for name in file_operations.glob(folder, pattern.pattern)]
    if pattern.exclude:
        rules = FolderRules(pattern.rules)
        names = [name for name in names if not _is_left_out(name, names, rules)]
    return [str(folder / name) for name in names]


def _is_left_out(name: str, tops: Iterable[str], rules: FolderRules) -> bool:
    return any(
        rules.left_out(name[len(top) + 1 :].split("/"))
        for top in tops
        if name.startswith(f"{top}/")
    )


def input_digests(recipe: Recipe, inputs: dict[str, str]) -> dict[str, str]:
    """Return the digest of the content of each input, and record the evidence.

    Raises:
        DeclarationError: a folder contains a link that leads outside, or what cannot be taken.
    """
    evidence, top = recipe.evidence, str(recipe.loaded.recipe_dir)
    try:
        digests = {path: digest_tree(path, rules) for path, rules in inputs.items()}
    except NotTaken as error:
        raise DeclarationError(
            f"`inputs`: {error.why}",
            origin=location_in_file(recipe.loaded.definition.path, "inputs"),
            hint=error.hint,
        ) from None
    evidence.trees.update({(path, inputs[path]): digest for path, digest in digests.items()})
    for each in recipe.loaded.definition.inputs:
        evidence.globs[top, each.pattern] = match_digest(top, each.pattern)
    return digests
