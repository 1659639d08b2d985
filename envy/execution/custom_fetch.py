"""Custom sources: a function of the declaring file fetches the recipe, with its own tools.

The function runs in a Lua state of its own, which loads the declaring file again: lupa holds a
state's lock during a Python callback, and the parent's state may be in use.

What it committed is kept in the cache, with the evidence of what was read while loading and
running, and used again only while that evidence holds. A recipe with a declared digest that was
committed alone is kept under the digest, whatever was read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from blake3 import blake3

from envy.answers.evidence import Evidence
from envy.answers.facts import match_digest
from envy.answers.stored_evidence import decode_evidence, encode_evidence, still_holds
from envy.cache.names import COMMITTED_FOLDER, DIGITS, EVIDENCE, RECIPE_FILE
from envy.cache.recipes import find_recipe_files
from envy.cache.trees import digest_file, digest_tree
from envy.content.atomic import atomic_write, temporary_beside
from envy.content.file_digest import file_digest
from envy.content.plain_file import read_plain
from envy.declarations.spec import CustomSource
from envy.errors import DeclarationError, FetchError, InternalError
from envy.execution.entry_lock import acquire_lock, release_lock
from envy.execution.phase_run import PhaseRun
from envy.execution.recipe_lua import new_state
from envy.execution.services import PhaseServices
from envy.execution.verbs import call_function
from envy.graph.recipe import Recipe
from envy.limits import CACHE_FILE
from envy.lua.runtime import LuaState
from envy.lua.values import LuaFunction, LuaValue
from envy.phase import RecipePhase
from envy.transport.digests import ExpectedDigest, verify_content


def is_source_fetched(recipe: Recipe, engine: PhaseServices) -> bool:
    """Return whether the source's recipe is in the cache; its tools must have their entry keys."""
    return _find_kept(recipe, engine) is not None


def fetch_custom(recipe: Recipe, engine: PhaseServices) -> Path:
    """Run the function unless its recipe is in the cache, and return the recipe file.

    Raises:
        FetchError: the function committed no recipe.lua. Errors of the function propagate.
    """
    kept = _find_kept(recipe, engine)
    if kept is None:
        layout = engine.services.layout
        name = _base_name(recipe, engine)
        lock = acquire_lock(recipe, engine, layout.lock_path(recipe.key.identity, name))
        since = time.monotonic()
        try:
            kept = _find_kept(recipe, engine) or _run(recipe, engine, name)
        finally:
            release_lock(recipe, engine, lock, since)
    folder, evidence = kept
    recipe.evidence.add(evidence)
    return folder / COMMITTED_FOLDER / RECIPE_FILE


# -- what is kept --------------------------------------------------------------------------------


def _base_name(recipe: Recipe, engine: PhaseServices) -> str:
    """Return a name for what is known before the function runs, with the declaring file's path.

    The path stands for the project, because scripts may read files beside the declaring file.
    """
    source, graph, here = _source(recipe), engine.graph, engine.services.platform
    tools = sorted(graph.recipes[edge.key].entry_key for edge in graph.source_edges(recipe.key))
    return _name(
        [
            str(source.fetch.file),
            digest_file(source.fetch.file),
            ".".join(str(key) for key in source.fetch.keys),
            source.fetch.options_text,
            recipe.key.canonical,
            source.sha256,
            *(here.tag, here.os_version, here.libc, here.libc_version),
            *tools,
        ]
    )


def _name(texts: Iterable[str]) -> str:
    return blake3("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _pinned_folder(recipe: Recipe, engine: PhaseServices, sha256: str) -> Path:
    """Return the folder of a recipe with a declared digest, which is named after the digest."""
    return engine.services.layout.recipes_dir(recipe.key.identity, _name(["sha256", sha256]))


def _find_kept(recipe: Recipe, engine: PhaseServices) -> tuple[Path, Evidence] | None:
    """Return the folder of what an earlier run committed, and the evidence that holds for it."""
    source, services = _source(recipe), engine.services
    if source.sha256:
        pinned = _pinned_folder(recipe, engine, source.sha256)
        if _is_kept(pinned, engine):
            return pinned, Evidence()
    layout, identity = services.layout, recipe.key.identity
    for name in layout.recipe_folders(identity, f"{_base_name(recipe, engine)}-"):
        folder = layout.recipes_dir(identity, name)
        evidence = _stored_evidence(folder)
        if (
            evidence is not None
            and still_holds(evidence, services.environment)
            and _is_kept(folder, engine)
        ):
            return folder, evidence
    return None


def _stored_evidence(folder: Path) -> Evidence | None:
    try:
        return decode_evidence(read_plain(str(folder / EVIDENCE), CACHE_FILE).decode("ascii"))
    except (OSError, ValueError):
        return None


def _is_kept(folder: Path, engine: PhaseServices) -> bool:
    recipe_file = folder / COMMITTED_FOLDER / RECIPE_FILE
    return find_recipe_files(engine.services.layout, folder) and recipe_file.is_file()


def _keep(
    recipe: Recipe, engine: PhaseServices, made: Path, evidence: Evidence, name: str
) -> tuple[Path, Evidence]:
    """Move what was committed to its folder, which other processes may have created already."""
    source = _source(recipe)
    committed = made / COMMITTED_FOLDER
    text = ""
    if source.sha256 and [path.name for path in committed.iterdir()] == [RECIPE_FILE]:
        folder, evidence = _pinned_folder(recipe, engine, source.sha256), Evidence()
    else:
        text = encode_evidence(evidence)
        (made / EVIDENCE).write_text(text, encoding="ascii")
        folder = engine.services.layout.recipes_dir(
            recipe.key.identity, f"{name}-{_name([text, digest_tree(committed)])}"
        )
    try:
        made.rename(folder)
    except OSError:
        if not _is_kept(folder, engine):
            raise
        if text:  # it may be damaged
            atomic_write(str(folder / EVIDENCE), text.encode("ascii"))
    return folder, evidence


# -- running the function ------------------------------------------------------------------------


def _run(recipe: Recipe, engine: PhaseServices, name: str) -> tuple[Path, Evidence]:
    source, layout = _source(recipe), engine.services.layout
    with temporary_beside(layout.recipes_dir(recipe.key.identity, name)) as temporary:
        made, tmp_dir = temporary / "made", temporary / "tmp"
        fetch_dir = made / COMMITTED_FOLDER
        fetch_dir.mkdir(parents=True)
        tmp_dir.mkdir()
        evidence = Evidence()
        state = new_state(recipe, engine, source.fetch.file.parent)
        try:
            state.load_file(source.fetch.file)
            function = _function(recipe, state)
            with _CustomRun(recipe, engine, evidence, tmp_dir, fetch_dir) as run:
                call_function(run, function)
        finally:
            recipe.work.fetched = {}
            state.close()
        reads = state.reads
        evidence.files.update({str(path): digest for path, digest in reads.files.items()})
        evidence.note_variables(reads.variables)
        evidence.lasting = evidence.lasting and not reads.clock
        _verify(fetch_dir / RECIPE_FILE, source)
        return _keep(recipe, engine, made, evidence, name)


class _CustomRun(PhaseRun):
    """The run of a custom fetch, which records in its evidence what the function reads."""

    def __init__(
        self,
        recipe: Recipe,
        engine: PhaseServices,
        evidence: Evidence,
        tmp_dir: Path,
        fetch_dir: Path,
    ) -> None:
        super().__init__(
            recipe,
            engine,
            RecipePhase.RECIPE_FETCH,
            run_dir=tmp_dir,
            base_dir=_source(recipe).fetch.file.parent,
            fetch_dir=fetch_dir,
        )
        self.evidence = evidence
        self.guarded_dir = Path(tmp_dir.anchor)  # so that every file that is read is asked about
        # Its own files, and those of its tools, whose keys are in the name of the folder.
        known = (tmp_dir.parent, engine.services.layout.assets_root)
        self._known = (*known, *(folder.resolve() for folder in known))

    @property
    def variables(self) -> Mapping[str, str]:
        return _RecordingVariables(super().variables, self)

    def may_read(self, path: Path) -> bool:
        self.note_file(path)
        return super().may_read(path)

    def note_file(self, path: Path) -> None:
        if not self._is_known(path):
            self.evidence.files.setdefault(str(path), file_digest(str(path)))

    def note_names(self, folder: Path, pattern: str) -> None:
        # The folder may be temporary, so the pattern is stored as an absolute one.
        path = Path(os.path.normpath(folder / pattern))
        if not self._is_known(path):
            self.evidence.globs[path.anchor, str(path)] = match_digest(path.anchor, str(path))

    def note_tree(self, path: Path, rules: str = "") -> None:
        if not self._is_known(path) and path.is_dir():
            self.evidence.trees[str(path), rules] = digest_tree(path, rules or None)

    def note_variable(self, name: str) -> None:
        """Record a variable of the user; those of tools and of envy follow from the name."""
        self.evidence.note_variables({name: self.engine.services.environment.get(name)})

    def note_clock(self) -> None:
        # The function may fetch something else later.
        self.evidence.lasting = False

    def _is_known(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._known)


class _RecordingVariables(Mapping[str, str]):
    """The variables of a custom fetch; those that are read are recorded in its evidence."""

    def __init__(self, variables: Mapping[str, str], run: _CustomRun) -> None:
        self._variables = variables
        self._run = run

    def __getitem__(self, name: str) -> str:
        self._run.note_variable(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _verify(path: Path, source: CustomSource) -> None:
    if not path.is_file():
        raise FetchError(
            f"the custom source committed no {RECIPE_FILE}",
            uri=str(source.origin),
            hint=f'commit it under that name: ctx.commit_fetch("{RECIPE_FILE}")',
        )
    if source.sha256:
        expected = ExpectedDigest(algorithm="sha256", hexdigest=source.sha256)
        verify_content(path.read_bytes(), [expected], uri=RECIPE_FILE)


def _function(recipe: Recipe, state: LuaState) -> LuaFunction:
    """Return the fetch function, from a state that has loaded the declaring file again."""
    address = _source(recipe).fetch
    value: object = state.user_globals()
    for position, key in enumerate(address.keys):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key <= len(value):
            value = value[key - 1]
        else:
            value = None
        if isinstance(value, LuaFunction) and position == 0 and len(address.keys) > 1:
            value = state.call(value, cast("LuaValue", dict(address.options)))
    if not isinstance(value, LuaFunction):
        raise DeclarationError(
            "the custom source is missing when its file is loaded a second time",
            origin=_source(recipe).origin,
            hint="the file must define the same values each time it is loaded",
        )
    return value


def _source(recipe: Recipe) -> CustomSource:
    source = recipe.spec.source
    if not isinstance(source, CustomSource):
        raise InternalError(f"{recipe.key} has no custom source")
    return source
