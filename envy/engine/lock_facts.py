"""What a resolved graph says that a lock holds: the facts of its platform.

Reads the graph alone. What only a registry, a repository or a download can tell is left to
`engine.lock_downloads`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envy.declarations.shipped import shipped_recipes_dir
from envy.declarations.sources import (
    Scheme,
    SourceItem,
    is_full_hash,
    local_path,
    location,
    scheme_of,
)
from envy.declarations.spec import BUNDLED, CustomSource
from envy.errors import InternalError
from envy.execution.bundles import bundle_of, opened_bundles
from envy.execution.open_bundle import OpenBundle
from envy.execution.unpinned import pinned
from envy.keying.declared_sources import answered_sources
from envy.locking.lock import (
    BUNDLE,
    CHOICE,
    COMMIT,
    DOWNLOAD,
    IN_BUNDLE,
    MANIFEST,
    RECIPE,
    REQUIREMENTS,
    UNKNOWN,
    UNLOCKED,
    VERSION,
    Topic,
)
from envy.locking.subjects import constraint_of, package_of, subject_of, subject_of_bundle
from envy.masking import masked

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.declarations.requirements import Requirements
    from envy.engine.engine import Engine
    from envy.graph.recipe import Recipe

_CUSTOM, _SHIPPED, _OUTSIDE = "custom", "shipped", "outside"
_LOCAL = frozenset({Scheme.LOCAL, Scheme.FILE})


@dataclass(frozen=True, slots=True)
class Download:
    """A file or a repository that a package declares; its digest or commit may not be known."""

    topic: Topic
    recipe: Recipe
    item: SourceItem

    @property
    def declared(self) -> str:
        """The digest that the recipe declares, as `ALGORITHM:HEXDIGITS`; or ""."""
        item = self.item
        given = {"sha256": item.sha256, "blake3": item.blake3, "sha512": item.sha512}
        return next((f"{name}:{digits}" for name, digits in given.items() if digits), "")


@dataclass(frozen=True, slots=True)
class OpenRequirements:
    """Requirements that are resolved to releases: with the lock of a package, or by uv."""

    package: str
    wanted: Requirements

    @property
    def topic(self) -> Topic:
        """What the lock has to say about them."""
        return self.package, REQUIREMENTS, self.wanted.subject


@dataclass(slots=True)
class Facts:
    """What one platform's graph says; the values of downloads are not among them."""

    values: dict[Topic, tuple[str, ...]] = field(default_factory=dict)
    downloads: list[Download] = field(default_factory=list)
    resolutions: list[OpenRequirements] = field(default_factory=list)
    undecided: set[str] = field(default_factory=set)  # packages of which not everything is known


def facts_of(engine: Engine, manifest: Manifest, *, is_strict: bool) -> Facts:
    """Return the facts of a graph that has been resolved.

    A package whose `fetch` declares something that is wrong is undecided, as is one that failed.

    Raises:
        EnvyError: with `is_strict`, what a `fetch` declares is wrong.
    """
    facts = Facts()
    for reason in _reasons_of_manifest(engine, manifest):
        facts.values[MANIFEST, UNLOCKED, reason] = ()
    for bundle in opened_bundles(engine.services):
        _add_bundle(facts, bundle, engine)
    for key in sorted(engine.graph.recipes):
        recipe = engine.graph.recipes[key]
        package = package_of(key)
        if engine.coordination.failure(key) is not None or recipe.loaded_or_none is None:
            facts.undecided.add(package)
            continue
        facts.values.update(_versions(recipe, package))
        where = _where(recipe, engine)
        facts.values[package, RECIPE, where] = (_pin(recipe, engine),)
        if where == _OUTSIDE:
            facts.values[package, UNLOCKED, "its recipe is outside of the project"] = ()
            continue
        try:
            _add_sources(facts, recipe, engine)
        except Exception:
            # Whatever its function raised is reported when the recipe is used.
            if is_strict:
                raise
            facts.undecided.add(package)
    for reference in engine.graph.all_references():
        if reference.provider is not None:
            text = f"source {reference.text}" if reference.of_source else reference.text
            topic = (package_of(reference.owner), CHOICE, text)
            facts.values[topic] = (package_of(reference.provider),)
    return facts


def _versions(recipe: Recipe, package: str) -> dict[Topic, tuple[str, ...]]:
    """Return the versions that the constraints of a recipe's options take."""
    pairs = [(name, asked, recipe.options.get(name)) for name, asked in recipe.spec.options.items()]
    return {
        (package, VERSION, constraint_of(name, asked)): (masked(value),)
        for name, asked, value in pairs
        if isinstance(asked, str) and isinstance(value, str) and value != asked
    }


def _add_bundle(facts: Facts, opened: OpenBundle, engine: Engine) -> None:
    """Add the digest or commit of a bundle, or that it is not locked."""
    subject = subject_of_bundle(opened.bundle, engine.services.project_dir)
    if not subject:
        facts.values[MANIFEST, UNLOCKED, "a recipe bundle is outside of the project"] = ()
    elif opened.is_here:
        facts.values[MANIFEST, BUNDLE, subject] = (UNKNOWN,)
    else:
        pin = f"sha256:{opened.digest}" if opened.digest else f"commit:{opened.commit}"
        facts.values[MANIFEST, BUNDLE, subject] = (pin,)


def _where(recipe: Recipe, engine: Engine) -> str:
    """Return where the file of a recipe is from, as it is called on every machine."""
    item = recipe.spec.source
    if item is BUNDLED:
        opened = _bundle_of(recipe, engine)
        subject = subject_of_bundle(opened.bundle, engine.services.project_dir)
        return f"{IN_BUNDLE}{subject}" if subject else _OUTSIDE
    if not isinstance(item, SourceItem):
        return _CUSTOM
    if scheme_of(item.source) not in _LOCAL:
        return subject_of(item)
    path, project = local_path(item), engine.services.project_dir
    if path.is_relative_to(shipped_recipes_dir()):
        return _SHIPPED
    fetched = _fetched_recipes(engine)
    if path.is_relative_to(fetched):
        # Beside a recipe that was fetched: below the folders of its identity and of its source.
        return "/".join(("{fetched}", *path.relative_to(fetched).parts[2:]))
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else _OUTSIDE


def _pin(recipe: Recipe, engine: Engine) -> str:
    """Return the digest or commit of a recipe that is not part of the project."""
    item = recipe.spec.source
    if isinstance(item, SourceItem):
        scheme = scheme_of(item.source)
        if scheme in _LOCAL:
            return UNKNOWN
        if scheme is Scheme.GIT:
            return f"commit:{pinned(item, recipe, engine).ref}"
    elif item is BUNDLED and _bundle_of(recipe, engine).is_here:
        return UNKNOWN
    content = recipe.loaded.text.encode("utf-8", "surrogateescape")
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _bundle_of(recipe: Recipe, engine: Engine) -> OpenBundle:
    """Return the bundle that the file of a recipe was found in."""
    opened = bundle_of(recipe, engine.services)
    if opened is None:
        raise InternalError(f"{recipe.key} is in no bundle that was opened")
    return opened


def _add_sources(facts: Facts, recipe: Recipe, engine: Engine) -> None:
    """Add what `fetch` declares, or why it is not locked."""
    if recipe.excluded or recipe.user_managed:
        return
    package = package_of(recipe.key)
    reasons = list(_reasons(recipe, engine))
    sources = None if reasons else answered_sources(recipe)
    wanted = recipe.loaded.definition.requirements
    if not reasons and wanted is not None:
        facts.resolutions += [OpenRequirements(package, wanted)] if wanted.is_open else []
    elif not reasons and sources is None:
        reasons = ["its fetch function calls ctx"]
    if len(set(map(subject_of, sources or ()))) < len(set(map(location, sources or ()))):
        reasons = ["two of its sources differ only in what is secret"]
        sources = None
    for item in sources or ():
        scheme = scheme_of(item.source)
        subject = subject_of(item)
        if scheme is Scheme.GIT:
            if not is_full_hash(item.ref):
                facts.downloads.append(Download((package, COMMIT, subject), recipe, item))
        elif scheme not in _LOCAL:
            facts.downloads.append(Download((package, DOWNLOAD, subject), recipe, item))
    for reason in reasons:
        facts.values[package, UNLOCKED, reason] = ()


def _reasons(recipe: Recipe, engine: Engine) -> Iterator[str]:
    """Yield why another machine may find other sources in the same recipe."""
    definition = recipe.loaded.definition
    if definition.fetch is None:
        return
    if recipe.loaded.reads.os_version:
        yield "it reads ENVY_OS_VERSION"
    reads, answer = recipe.loaded.reads, recipe.fetch_answer
    variables = {*reads.variables, *(answer.variables if answer else ())}
    yield from (f"it reads the variable {name}" for name in sorted(variables))
    own = [recipe.loaded.recipe_dir, *_known_folders(engine)]
    files = {*map(str, reads.files), *(answer.files if answer else ())}
    if any(not _is_below(path, own) for path in files):
        yield "it reads a file outside of the project"


def _reasons_of_manifest(engine: Engine, manifest: Manifest) -> Iterator[str]:
    """Yield why another machine may find other packages in the same manifest."""
    reads = manifest.reads
    if reads.os_version:
        yield "it reads ENVY_OS_VERSION"
    yield from (f"it reads the variable {name}" for name in sorted(reads.variables))
    folders = [manifest.path.parent, *_known_folders(engine)]
    if any(not _is_below(str(path), folders) for path in reads.files):
        yield "it reads a file outside of the project"


def _known_folders(engine: Engine) -> list[Path]:
    return [engine.services.project_dir, _fetched_recipes(engine), shipped_recipes_dir()]


def _fetched_recipes(engine: Engine) -> Path:
    """Return the folder of fetched recipes; that of a plan is not in the cache."""
    return engine.services.layout.recipes_dir("-", "-").parents[1]


def _is_below(path: str, folders: Iterable[Path]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def custom_recipes(engine: Engine) -> dict[str, Path]:
    """Return the files of recipes with a custom source, by canonical key, if they were fetched."""
    recipes = engine.graph.recipes.values()
    return {
        recipe.key.canonical: recipe.loaded.path
        for recipe in recipes
        if isinstance(recipe.spec.source, CustomSource) and recipe.loaded_or_none is not None
    }
