"""Recipe bundles in a run: each is fetched once, its map is read once, and its recipes are found.

A folder of this machine is used where it is. Anything else is below `recipes/bundle` in the cache,
unpacked, with the digest of the archive beside it.
"""

from __future__ import annotations

import functools
import os.path
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envy.answers.evidence import Evidence
from envy.cache.names import BUNDLES_NAME
from envy.content.file_digest import file_digest
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.bundles import MAP_NAME, Bundle, parse_map
from envy.declarations.locations import SourceText, shown_path
from envy.declarations.sources import Scheme, SourceItem, local_path, location, scheme_of
from envy.declarations.spec import BUNDLED, BundledSource, Dependency
from envy.errors import DeclarationError, FetchError
from envy.execution.open_bundle import OpenBundle
from envy.execution.recipe_lua import new_state
from envy.execution.services import PhaseServices, Services
from envy.execution.source_folders import Wanted, fetch_into, folder_of, name_of
from envy.execution.unpinned import pinned
from envy.graph.recipe import Recipe
from envy.interpreter import released
from envy.limits import LUA_MEMORY

if TYPE_CHECKING:
    from envy.transport.context import Fetched

CONTENT = "bundle"  # the folder with the content of a bundle
_DIGEST = "sha256"  # the file with the digest of the archive
_HERE = frozenset({Scheme.LOCAL, Scheme.FILE})


def find_bundled(recipe: Recipe, engine: PhaseServices) -> Path:
    """Return the file of a recipe that is in a bundle of the manifest.

    Raises:
        DeclarationError: no bundle or more than one has it, or its bundle is not valid.
        FetchError: a bundle cannot be fetched.
    """
    identity = recipe.key.identity
    opened = [open_bundle(one, recipe, engine) for one in engine.services.bundles]
    found = [one for one in opened if identity in one.map.recipes]
    if len(found) == 1:
        return found[0].path_of(identity)
    if found:
        rows = "\n".join(f"    {one.bundle.shown}, in {one.map.at(identity)}" for one in found)
        raise DeclarationError(
            f"{len(found)} bundles have the recipe {identity}:\n{rows}",
            origin=recipe.spec.origin,
            hint="give the entry a `source`, or remove one of the bundles",
        )
    raise _unknown(recipe, opened)


def _unknown(recipe: Recipe, opened: Sequence[OpenBundle]) -> DeclarationError:
    from envy.declarations.identity_suggestion import similar_identity

    identity = recipe.key.identity
    known = {name: one for one in opened for name in one.map.recipes}
    near = similar_identity(identity, frozenset(known))
    names = ", ".join(one.bundle.shown for one in opened)
    return DeclarationError(
        f"no bundle of the manifest has the recipe {identity}; its bundles are {names}",
        origin=recipe.spec.origin,
        hint=f'did you mean "{near}", of {known[near].bundle.shown}?'
        if near
        else "give the entry a `source`, or add the bundle that has it",
    )


def open_bundle(bundle: Bundle, recipe: Recipe, engine: PhaseServices) -> OpenBundle:
    """Return a bundle with its map, for a recipe, whose evidence then has what they rest on.

    Raises:
        DeclarationError, LuaScriptError: its map is not valid. FetchError: it cannot be fetched.
    """
    services = engine.services
    content = _content_of(bundle, recipe, engine)
    # Two entries may have the same content, and each platform may have another map.
    key = ("bundle", content, location(bundle.item), services.platform)
    opened = services.memo.once(key, functools.partial(_open, bundle, content, recipe, engine))
    services.open_bundles[bundle] = opened
    services.bundle_roots.add(content.folder)
    recipe.evidence.add(opened.evidence)
    return opened


def opened_bundles(services: Services) -> list[OpenBundle]:
    """Return the bundles that were opened in this run, in the order of the manifest."""
    opened = services.open_bundles
    return [opened[bundle] for bundle in services.bundles if bundle in opened]


def bundle_of(recipe: Recipe, services: Services) -> OpenBundle | None:
    """Return the bundle that the file of a recipe was found in; None for other recipes."""
    if not isinstance(recipe.spec.source, BundledSource):
        return None
    opened = opened_bundles(services)
    return next((one for one in opened if recipe.key.identity in one.map.recipes), None)


def as_bundled(dependency: Dependency, recipe: Recipe, services: Services) -> Dependency:
    """Return a dependency of a bundled recipe, also if it names another by its path in the bundle.

    A recipe is one however it is named.
    """
    spec, opened = dependency.spec, bundle_of(recipe, services)
    if spec is None or opened is None or not isinstance(spec.source, SourceItem):
        return dependency
    name = opened.map.recipes.get(spec.identity)
    if name is None or scheme_of(spec.source.source) not in _HERE:
        return dependency
    if local_path(spec.source) != Path(os.path.normpath(opened.folder / name)):
        return dependency
    return replace(dependency, spec=replace(spec, source=BUNDLED))


# -- where its content is ------------------------------------------------------------------------


class _Content(NamedTuple):
    """The folder with the content of a bundle; the digest of its archive, or its commit."""

    folder: Path
    digest: str = ""
    commit: str = ""


def _content_of(bundle: Bundle, recipe: Recipe, engine: PhaseServices) -> _Content:
    item = bundle.item
    wanted = Wanted(owner=BUNDLES_NAME, item=item, arrange=functools.partial(_arrange, bundle))
    scheme = scheme_of(item.source)
    if scheme is Scheme.GIT:
        commit = pinned(item, recipe, engine).ref
        return _Content(folder_of(wanted, recipe, engine) / CONTENT, commit=commit)
    if scheme not in _HERE:
        return _content_in(folder_of(wanted, recipe, engine))
    path = local_path(item)
    if path.is_dir():
        return _Content(_checked_folder(bundle, path))
    digest = file_digest(str(path))
    recipe.evidence.files[str(path)] = digest
    if digest is None:
        raise DeclarationError(
            f"there is no bundle {path}",
            origin=bundle.origin,
            hint="`source` is a folder, an archive or a repository; a relative path starts from "
            "the folder of the manifest",
        )
    if not path.is_file():
        raise DeclarationError(
            f"the bundle {path} is neither a folder nor a plain file", origin=bundle.origin
        )
    # Of a file that is changed, the cache may have both contents.
    name = name_of(f"{location(item)} {digest}")
    folder = engine.services.layout.recipes_dir(BUNDLES_NAME, name)
    return _content_in(fetch_into(folder, wanted, recipe, engine))


def _checked_folder(bundle: Bundle, path: Path) -> Path:
    item = bundle.item
    if item.sha256:
        raise DeclarationError(
            f"{path} is a folder, and a folder has no digest",
            origin=bundle.origin,
            hint="remove `sha256`; what its recipes contain is part of their keys",
        )
    folder = Path(os.path.normpath(path / item.subdir))
    if not folder.is_dir():
        raise DeclarationError(
            f"the bundle {path} has no folder {item.subdir}", origin=bundle.origin
        )
    return folder


def _content_in(folder: Path) -> _Content:
    digest = read_plain(str(folder / _DIGEST), LUA_MEMORY).decode("ascii", "replace").strip()
    return _Content(folder / CONTENT, digest)


def _arrange(bundle: Bundle, fetched: Fetched, temporary: Path) -> Path:
    """Lay out what was fetched as a folder of the cache: the content, and the archive's digest."""
    from envy.content.archive import extract, is_archive

    made = temporary / "made"
    made.mkdir()
    if fetched.path.is_dir():
        fetched.path.rename(made / CONTENT)
        return made
    if not is_archive(fetched.path):
        raise FetchError(
            f"{bundle.shown} is not an archive: a bundle is a folder, an archive or a repository",
            uri=fetched.uri,
            hint='a single recipe is an entry of `packages`: { recipe = "…", source = "…" }',
        )
    unpacked = temporary / "unpacked"
    unpacked.mkdir()
    # As for any source, the folder `package` of npm's archives is no part of a path.
    strip = 1 if scheme_of(bundle.item.source) is Scheme.NPM else 0
    with released():
        extract(fetched.path, unpacked, strip=strip, subdir=bundle.item.subdir)
    _with_map(unpacked).rename(made / CONTENT)
    (made / _DIGEST).write_text(fetched.sha256, encoding="ascii")
    return made


def _with_map(folder: Path) -> Path:
    """Return the folder with the map: this one, or the only one in it that has one.

    Archives often have one folder, and wheels have one with what is known about the release, too.
    """
    if not (folder / MAP_NAME).exists():
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
        found = [path for path in inner if (path / MAP_NAME).exists()]
        if len(found) == 1:
            return found[0]
    return folder


# -- its map -------------------------------------------------------------------------------------


def _open(bundle: Bundle, content: _Content, recipe: Recipe, engine: PhaseServices) -> OpenBundle:
    folder = content.folder
    path = folder / MAP_NAME
    if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
        raise DeclarationError(
            f"{MAP_NAME} of the bundle {bundle.shown} is a link that leads outside of it",
            origin=bundle.origin,
            hint="the bundle must contain the file itself",
        )
    evidence = Evidence()
    evidence.files[str(path)] = file_digest(str(path))
    text = _read_map(bundle, path)
    state = new_state(recipe, engine, folder)
    try:
        state.load_file(path, text)
        found = parse_map(
            state.user_globals(), SourceText(path, text.decode("utf-8", "surrogateescape"))
        )
    finally:
        reads = state.reads
        state.close()
    evidence.files.update({str(name): known for name, known in reads.files.items()})
    evidence.note_variables(reads.variables)
    evidence.lasting = reads.lasting
    return OpenBundle(
        bundle=bundle,
        folder=folder,
        map=found,
        digest=content.digest,
        commit=content.commit,
        evidence=evidence,
    )


def _read_map(bundle: Bundle, path: Path) -> bytes:
    try:
        return read_plain(str(path), LUA_MEMORY)
    except FileNotFoundError:
        raise DeclarationError(
            f"the bundle {bundle.shown} has no file {MAP_NAME}, which says where its recipes are",
            origin=bundle.origin,
            hint='name the folder that has it: subdir = "…"'
            if not bundle.item.subdir
            else f"its folder is {shown_path(path.parent)}",
        ) from None
    except OSError as error:
        raise DeclarationError(
            f"{MAP_NAME} of the bundle {bundle.shown} cannot be read: {error.strerror}",
            origin=bundle.origin,
        ) from error
    except NotPlain as error:
        raise DeclarationError(
            f"{MAP_NAME} of the bundle {bundle.shown} {error}",
            origin=bundle.origin,
            hint=error.limit.hint if error.limit else "",
        ) from error
