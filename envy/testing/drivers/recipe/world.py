"""The world of one test: its folders, platform and variables, and an engine with an empty cache.

Guarantees
  Everything that the test does is below one temporary folder, which is removed with it; programs
  that the recipe really runs can do what they like.
  The engine sees no variable of the user but PATH, and no credentials or configuration.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from envy.cache.layout import CacheLayout
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.bundles import MAP_NAME, Bundle, parse_map
from envy.declarations.entries import parse_spec
from envy.declarations.key import RecipeKey
from envy.declarations.locations import SourceText, shown_path
from envy.declarations.overrides import overridden
from envy.declarations.sources import SourceItem
from envy.declarations.spec import BUNDLED, Override, Overrides, RecipeSpec
from envy.engine.engine import Engine
from envy.engine.project import Project
from envy.errors import Cancelled, DependencyFailed, EnvyError, SourceLocation
from envy.events import EventBus, LogMessage, Stamped
from envy.execution.services import Services, Terminal
from envy.graph.recipe import Recipe
from envy.host.children import Children
from envy.host.named_platforms import NAMED_PLATFORMS
from envy.host.offline import offline_variables
from envy.host.platform import Platform, host_platform
from envy.limits import LUA_MEMORY, RECIPE_TEST
from envy.lua.quiet_state import quiet_state
from envy.testing.drivers.recipe.engine_thread import EngineThread
from envy.testing.drivers.recipe.scripted import ScriptedPrograms, ScriptedTransport

Result = TypeVar("Result")

_CORES = 2
_NO_PROXY = "http://127.0.0.1:9"  # where nobody listens
_FETCHING = frozenset({"fetch", "recipe fetch", "recipe_fetch"})
_MOST_EVENTS = 100_000
# Without a version, a platform would be one that a project is locked for.
_VERSIONS = {"darwin": "15.0", "linux": "linux", "windows": "10.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeUnderTest:
    """The recipe of a file of tests; `identity` is what the recipe says it is."""

    path: Path
    identity: str
    tests: Path


class _Consenting:
    """A terminal whose user agrees to every install, and that no program may use."""

    def consent(self, list_packages: Callable[[], object]) -> None:
        """Agree."""

    def lent(self) -> object:
        """Refuse: a test has no terminal."""
        raise EnvyError("the program is interactive, and a test of a recipe has no terminal",
                        hint="answer it, with t.answer")  # fmt: skip


class _Recorder:
    """Keeps the events of a test."""

    def __init__(self) -> None:
        self.rows: list[Stamped] = []

    def on_event(self, stamped: Stamped) -> None:
        """Keep an event, up to a number that no test comes near."""
        if len(self.rows) < _MOST_EVENTS:
            self.rows.append(stamped)

    def close(self) -> None:
        """Do nothing."""


def _is_in_map(under_test: RecipeUnderTest, environment: Mapping[str, str]) -> bool:
    """Return whether the map of a bundle names the recipe by its identity.

    Raises:
        EnvyError: the map is not valid.
    """
    root = bundle_above(under_test.path)
    if root is None:
        return False
    path = root / MAP_NAME
    state = quiet_state(root, environment=environment)
    try:
        content = read_plain(str(path), LUA_MEMORY)
        state.load_file(path, content)
        text = SourceText(path, content.decode("utf-8", "surrogateescape"))
        found = parse_map(state.user_globals(), text).recipes.get(under_test.identity)
    except (OSError, NotPlain) as error:
        raise EnvyError(f"{path} cannot be read: {error}") from error
    finally:
        state.close()
    return found is not None and Path(os.path.normpath(root / found)) == under_test.path


def raise_failure(engine: Engine, key: RecipeKey) -> None:
    """Raise the failure of a recipe if it has one, with that of the recipe that led to it."""
    if engine.cancellation is not None:
        raise engine.cancellation
    failure = engine.failure_of(key)
    if isinstance(failure, DependencyFailed):
        raise EnvyError(f"{failure}\n{failure.root}")
    if failure is not None:
        raise failure


def bundle_above(path: Path) -> Path | None:
    """Return the folder of the recipe bundle that a recipe is in, or None."""
    return next((folder for folder in path.parents if (folder / MAP_NAME).is_file()), None)


class World:
    """The world of one test. Only `stop` may be called from any thread."""

    def __init__(self, under_test: RecipeUnderTest, folder: Path, *, test: str, path: str) -> None:
        self.under_test = under_test
        self.folder = folder
        self.project = folder / "project"
        self.programs_folder = folder / "bin"
        for name in (self.project, self.programs_folder, folder / "home", folder / "tmp"):
            name.mkdir()
        self.platform: Platform = host_platform()
        self.variables = {
            "PATH": f"{self.programs_folder}:{path}",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "http_proxy": _NO_PROXY,
            "https_proxy": _NO_PROXY,
            **offline_variables({}),
        }
        del self.variables["ENVY_OFFLINE"]
        self.transport = ScriptedTransport(test)
        self.programs = ScriptedPrograms(test, may_run=self._may_run)
        self.allows_programs = False
        self.stand_ins: dict[str, Path] = {}  # recipes in place of others, by identity
        self.children = Children(stand_in=self.programs)
        self.thread = EngineThread()
        self.recorder = _Recorder()
        # What a result rests on: files and the names in folders, and folders with all in them.
        self.read = {str(one / MAP_NAME) for one in under_test.path.parents}
        self.trees: set[str] = set()
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._runs = 0
        self.stopped: Cancelled | None = None

    def stop(self, reason: str) -> None:
        """End what runs, and let nothing more begin."""
        with self._lock:
            self.stopped = self.stopped or Cancelled(reason)
            engine = self._engine
        if engine is not None:
            engine.cancel(self.stopped)
        self.children.terminate_all()

    def should_stop(self) -> bool:
        """Return whether Lua code has to end."""
        return self.stopped is not None

    # -- the engine ------------------------------------------------------------------------------

    def with_recipe(
        self, options: Mapping[str, object], work: Callable[[Engine, Recipe], Result]
    ) -> Result:
        """Resolve the recipe with these options, and return what `work` makes of it.

        Raises:
            EnvyError: the recipe cannot be loaded, or the work fails.
        """
        if self.thread.is_busy:
            raise EnvyError("the recipe cannot be installed while it is being installed")
        return self.thread.run(lambda: self._resolved(options, work))

    def _resolved(
        self, options: Mapping[str, object], work: Callable[[Engine, Recipe], Result]
    ) -> Result:
        spec = self._spec(options)
        bus = EventBus([self.recorder])
        engine = Engine(self._services(bus), Project(), jobs=_CORES)
        with self._lock:
            self._engine = engine
            stopped = self.stopped
        try:
            with engine.coordinator.interpreter.running():
                if stopped is not None:
                    raise stopped
                engine.resolve_graph([spec])
                self._note_reads(engine)
                raise_failure(engine, spec.key)
                result = work(engine, engine.graph.recipes[spec.key])
                self._note_reads(engine)
                return result
        finally:
            with self._lock:
                self._engine = None
            engine.lease.release()
            bus.close()

    def _spec(self, options: Mapping[str, object]) -> RecipeSpec:
        under_test = self.under_test
        origin = SourceLocation(shown_path(under_test.tests))
        entry = {"recipe": under_test.identity, "source": str(under_test.path)}
        spec = parse_spec(
            {**entry, **({"options": dict(options)} if options else {})},
            origin=origin,
            base_dir=under_test.path.parent,
        )
        if _is_in_map(under_test, self.variables):
            # In a bundle a recipe is one, whether an entry or a path of another recipe names it.
            spec = replace(spec, source=BUNDLED)
        overrides = Overrides(
            named=tuple(
                Override(
                    name=identity,
                    source=SourceItem(source=str(path), base_dir=path.parent),
                    origin=origin,
                )
                for identity, path in self.stand_ins.items()
            )
        )
        return overridden(spec, overrides) if self.stand_ins else spec

    def _services(self, bus: EventBus) -> Services:
        self._runs += 1
        root = bundle_above(self.under_test.path)
        bundles: tuple[Bundle, ...] = ()
        if root is not None:
            item = SourceItem(source=str(root), base_dir=root)
            bundles = (Bundle(item=item, origin=SourceLocation(root / MAP_NAME)),)
        terminal: Terminal = _Consenting()  # type: ignore[assignment]
        return Services(
            platform=self.platform,
            environment=dict(self.variables),
            project_dir=self.project,
            layout=CacheLayout(self.folder / "cache"),
            events=bus,
            children=self.children,
            terminal=terminal,
            cores=_CORES,
            fetch_jobs=_CORES,
            stamp=f"test-{self._runs}",
            bundles=bundles,
            stand_in=self.transport,
            writes_below=self.folder,
            lua_steps=RECIPE_TEST,
        )

    def _may_run(self, recipe: str, phase: str) -> str:
        """Return why a program is not started; "" if it is."""
        if self.allows_programs or phase == "host":
            return ""
        if phase in _FETCHING:
            return "programs of `fetch` may reach the network, which a test does not use"
        engine = self._engine
        found = engine.graph.recipes.values() if engine is not None else ()
        if any(one.user_managed and one.key.canonical == recipe for one in found):
            return "the recipe is user-managed, so that its programs would change this machine"
        return ""

    def _note_reads(self, engine: Engine) -> None:
        """Note the files that the recipes of the graph consist of."""
        for recipe in list(engine.graph.recipes.values()):
            loaded = recipe.loaded_or_none
            if loaded is None:
                continue
            self.read.add(str(loaded.path))
            self.read |= {str(path) for path in loaded.reads.files}
            if loaded.definition.inputs:
                self.read.add(str(loaded.recipe_dir))  # where its patterns look for names
            self.read |= set(recipe.evidence.files)
            placement = recipe.placement_or_none
            if placement is not None:
                self.trees |= set(placement.inputs)

    # -- what a test observes --------------------------------------------------------------------

    def messages(self) -> list[tuple[str, str]]:
        """Return the level and the text of each message so far."""
        events = [row.event for row in self.recorder.rows]
        return [(one.level, one.message) for one in events if isinstance(one, LogMessage)]

    def set_platform(self, name: str) -> None:
        """Use this platform from now on.

        Raises:
            EnvyError: there is no platform of this name.
        """
        found = NAMED_PLATFORMS.get(name.removesuffix("-gnu"))
        if found is None:
            known = ", ".join(sorted(NAMED_PLATFORMS))
            raise EnvyError(f'"{name}" is not a platform', hint=f"platforms are {known}")
        here = host_platform()
        is_here = (found.tag, found.libc) == (here.tag, here.libc)
        self.platform = here if is_here else replace(found, os_version=_VERSIONS[found.os])
