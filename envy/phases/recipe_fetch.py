"""recipe_fetch: get the recipe file, load it, and declare its dependencies."""

from __future__ import annotations

import functools
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from envy.cache.names import RECIPE_FILE
from envy.content.file_digest import file_digest
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.bundles import check_has_bundles
from envy.declarations.definition import RecipeDefinition, parse_definition
from envy.declarations.key import RecipeKey
from envy.declarations.locations import SourceText, location_of_function
from envy.declarations.products import Product, parse_products
from envy.declarations.sources import Scheme, SourceItem, local_path, scheme_of
from envy.declarations.spec import (
    BundledSource,
    CustomSource,
    Dependency,
    DependencyKind,
    check_local_rule,
)
from envy.declarations.tables import Exports, is_included, parse_exports
from envy.errors import DeclarationError, InternalError
from envy.execution.log import report
from envy.execution.recipe_lua import close_lua_state, function_names, functions_of, new_state
from envy.execution.secrets import Held, learning_secrets, remember_secrets
from envy.execution.services import PhaseServices
from envy.graph.recipe import Edge, LoadedRecipe, Recipe, Reference
from envy.host.platform import Platform
from envy.keying.declared_sources import evaluate_fetch
from envy.limits import LUA_MEMORY
from envy.locking.subjects import locked_version
from envy.lua.values import LuaFunction

if TYPE_CHECKING:
    from envy.declarations.bundles import Bundle
    from envy.transport.context import Fetched


def run_recipe_fetch_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Load the recipe file and declare its dependencies.

    Raises:
        FetchError: the file could not be fetched; DeclarationError: it breaks a rule.
        LuaScriptError: it could not be run.
    """
    path, content = _read(recipe, _recipe_file(recipe, engine))
    loaded = _load(recipe, engine, path, content)
    definition = loaded.definition
    # Every variant of a package loads the file; its mistakes are those of the file.
    services = engine.services
    for warning in definition.warnings:
        say = functools.partial(report, recipe, services, "warn", warning)
        services.memo.once(("warning of a file", warning), say)
    _note_evidence(recipe, loaded)
    if isinstance(definition.fetch, LuaFunction) and not definition.excluded:
        recipe.fetch_answer = evaluate_fetch(recipe, engine, definition.fetch)
    if not loaded.function_names or not engine.services.open_states.try_add():
        close_lua_state(recipe)
    if not definition.excluded:
        declare(recipe, engine, definition.dependencies)


def _load(recipe: Recipe, engine: PhaseServices, path: Path, content: bytes) -> LoadedRecipe:
    """Load the file in a Lua state of its own; set the recipe's `loaded` record and functions."""
    text, services = content.decode("utf-8", "surrogateescape"), engine.services
    held = Held(
        functools.partial(report, recipe, services),
        text,
        services,
        has_read=lambda: bool(state.reads.variables),
    )
    state = new_state(recipe, engine, path.parent, report=held.add)
    recipe.functions.state = state
    with learning_secrets(text, services, state, held):
        state.load_file(path, content)
        definition = parse_definition(
            state.user_globals(),
            spec=recipe.spec,
            path=path,
            text=text,
            platform=services.platform,
            locked_version=functools.partial(locked_version, services.lock, recipe.key),
        )
        remember_secrets(definition, services)
    names = function_names(definition)
    recipe.loaded = loaded = LoadedRecipe(
        path=path,
        recipe_dir=path.parent,
        digest=blake3(content).hexdigest(),
        text=text,
        definition=definition,
        function_names=names,
        reads=state.reads,
        exports=_exports(definition, path, text),
        provides=_provides(definition, engine),
        bundle=_bundle(recipe, engine),
    )
    recipe.functions.live = functions_of(definition, names)
    return loaded


def _note_evidence(recipe: Recipe, loaded: LoadedRecipe) -> None:
    """Record what was read while the recipe was loaded: the recipe is unchanged while that is."""
    evidence, reads = recipe.evidence, loaded.reads
    evidence.files[str(loaded.path)] = loaded.digest
    # Messages of a load must appear in every run, so the file must be loaded in every run.
    evidence.lasting = evidence.lasting and reads.lasting and not loaded.definition.warnings
    evidence.files.update({str(path): digest for path, digest in reads.files.items()})
    evidence.note_variables(reads.variables)


# -- the file ------------------------------------------------------------------------------------


def _recipe_file(recipe: Recipe, engine: PhaseServices) -> Path:
    """Return the recipe's file, or the folder that contains it if its source is local.

    A remote recipe is stored in the cache under a name made from its source.
    """
    item = recipe.spec.source
    if item is None:
        raise InternalError(f"{recipe.key} is to be fetched, but has no source")
    if isinstance(item, BundledSource):
        from envy.execution.bundles import find_bundled

        return find_bundled(recipe, engine)
    if isinstance(item, CustomSource):
        known = engine.services.custom_recipes.get(recipe.key.canonical)
        if known is not None:
            return known
        from envy.execution.custom_fetch import fetch_custom

        return fetch_custom(recipe, engine)
    if _is_here(item):
        return local_path(item)
    from envy.execution.source_folders import Wanted, folder_of

    wanted = Wanted(owner=recipe.key.identity, item=item, arrange=_arrange)
    folder = folder_of(wanted, recipe, engine)
    path = _find_recipe_file(folder, recipe)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DeclarationError(
            f"the recipe file {path} is a link that leads outside of its source",
            origin=recipe.spec.origin,
            hint="the source must contain the file itself",
        )
    return path


def _is_here(item: SourceItem) -> bool:
    return scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE}


def _arrange(fetched: Fetched, temporary: Path) -> Path:
    """Lay out a recipe that was fetched as a folder of the cache."""
    if fetched.path.is_dir():
        return fetched.path
    fetched.path.rename(temporary / RECIPE_FILE)
    return temporary


def _find_recipe_file(folder: Path, recipe: Recipe) -> Path:
    """Return the recipe file in a folder: `recipe.lua`, or a file named after its identity."""
    names = (RECIPE_FILE, f"{recipe.key.identity}.lua")
    for name in names:
        if (folder / name).is_file():
            return folder / name
        # A file that appears later would be used instead.
        recipe.evidence.files[str(folder / name)] = file_digest(str(folder / name))
    raise DeclarationError(
        f"{folder} contains neither {names[0]} nor {names[1]}",
        origin=recipe.spec.origin,
        hint='name the folder of the source that contains the recipe: subdir = "…"',
    )


def _read(recipe: Recipe, path: Path) -> tuple[Path, bytes]:
    """Return the recipe file at a path, or in the folder at the path, and its content."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            path = _find_recipe_file(path, recipe)
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Reading a pipe would block.
            raise DeclarationError(
                f"the recipe file {path} is not a regular file", origin=recipe.spec.origin
            )
        text = read_plain(str(path), LUA_MEMORY)
    except FileNotFoundError:
        raise DeclarationError(
            f"there is no recipe file {path}", origin=recipe.spec.origin, hint=_hint(path, recipe)
        ) from None
    except OSError as error:
        raise DeclarationError(
            f"cannot read the recipe file {path}: {error.strerror}", origin=recipe.spec.origin
        ) from error
    except NotPlain as error:
        raise DeclarationError(
            f"the recipe file {path} {error}",
            origin=recipe.spec.origin,
            hint=error.limit.hint if error.limit else "",
        ) from error
    item = recipe.spec.source
    if isinstance(item, SourceItem) and item.has_digest and _is_here(item):
        from envy.transport.digests import expected_digests, verify_content

        verify_content(text, expected_digests(item), uri=item.source)
    return path, text


def _hint(path: Path, recipe: Recipe) -> str:
    from envy.suggest import nearest

    names = [found.name for found in path.parent.glob("*.lua")] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    if near:
        return f"did you mean {near}?"
    item = recipe.spec.source
    said = f"create it, or change the source of {recipe.key.identity}"
    source = item.source if isinstance(item, SourceItem) else ""
    if source != f"{recipe.key.identity}.lua" and not source.startswith(("/", "file:")):
        said += "; a relative path starts from the folder of the file that names it"
    return said


def _bundle(recipe: Recipe, engine: PhaseServices) -> str:
    if not isinstance(recipe.spec.source, BundledSource):
        return ""
    from envy.execution.bundles import bundle_of

    opened = bundle_of(recipe, engine.services)
    return opened.bundle.shown if opened else ""


# -- its content ---------------------------------------------------------------------------------


def _exports(definition: RecipeDefinition, path: Path, text: str) -> Exports:
    """Return the exports; a function is called now, since it depends only on the options."""
    exports = definition.exports
    if not isinstance(exports, LuaFunction):
        return exports
    value = exports.state.call(exports, dict(definition.options))
    return parse_exports(value, SourceText(path, text).at("exports"))


def _provides(definition: RecipeDefinition, engine: PhaseServices) -> dict[str, Product]:
    """Return the products by name, relative to the asset; a function of the options is called now.

    The products function of a user-managed package is called only once its check succeeds.
    """
    products = definition.products
    if not isinstance(products, LuaFunction):
        return dict(products)
    if definition.user_managed:
        return {}
    value = products.state.call(products, dict(definition.options))
    return dict(
        parse_products(
            value,
            platform=engine.services.platform,
            user_managed=False,
            origin=location_of_function(products),
        )
    )


def dependencies_on_platform(
    owner: RecipeKey,
    platform: Platform,
    bundles: tuple[Bundle, ...],
    dependencies: Iterable[Dependency],
) -> list[tuple[int, Dependency]]:
    """Return the dependencies for this platform, each with its position in the list.

    All are checked before the first is declared, so that an error leaves none declared.

    Raises:
        DeclarationError: a dependency breaks the rule for local recipes, or has no source although
            the manifest has no `bundles`.
    """
    here = []
    for position, dependency in enumerate(dependencies):
        if is_included(dependency.platforms, platform, dependency.origin):
            if dependency.spec is not None:
                check_local_rule(owner, dependency.spec.key, dependency.origin)
                if isinstance(dependency.spec.source, BundledSource):
                    check_has_bundles(dependency.spec.identity, bundles, dependency.origin)
            here.append((position, dependency))
    return here


def declare(recipe: Recipe, engine: PhaseServices, dependencies: Iterable[Dependency]) -> None:
    """Add an edge or a reference for each dependency, and start the fetches of new recipes."""
    for position, dependency in dependencies_on_platform(
        recipe.key, engine.services.platform, engine.services.bundles, dependencies
    ):
        if isinstance(recipe.spec.source, BundledSource):
            from envy.execution.bundles import as_bundled

            dependency = as_bundled(dependency, recipe, engine.services)  # noqa: PLW2901
        spec = dependency.spec
        if dependency.kind is not DependencyKind.STRONG or spec is None:
            engine.graph.add_reference(Reference(recipe.key, position, dependency, of_source=False))
            continue
        engine.declare_recipe(spec, parent=recipe.key)
        edge = Edge(
            spec.key,
            dependency.needed_by,
            dependency.use,
            dependency.kind.value,
            spec.origin,
            dependency.product,
            dependency.exports,
        )
        engine.graph.add_edge(recipe.key, edge)
