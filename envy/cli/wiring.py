"""The wiring of a command: creates manifest, cache, events and engine, and opens a Session.

No other module creates these. While a session is open, its thread holds the interpreter slot.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envy.cache.downloads import Downloads
from envy.cache.durations import Durations, durations_path
from envy.cache.layout import CacheLayout
from envy.cache.resolutions import Resolutions, Upstream, resolutions_path
from envy.cli.cache_root import cache_root
from envy.cli.control import Control
from envy.cli.depots import shared_places
from envy.cli.jobs import make_jobserver, take_outer_jobserver
from envy.cli.listeners import make_listeners
from envy.cli.manifest_path import manifest_path
from envy.cli.outcome import print_stopped
from envy.cli.remote_executor import remote_scripts
from envy.cli.settings import Settings
from envy.cli.terminal import UserTerminal
from envy.console.drawing import can_draw
from envy.console.text import Streams
from envy.declarations.manifest import Manifest, load_manifest
from envy.declarations.manifest_search import MANIFEST_NAME
from envy.engine.engine import Engine
from envy.engine.lock_use import LockMode, LockOrder, locked_services, use_lock
from envy.engine.project import Project
from envy.engine.session import Session
from envy.engine.undecided import Undecided
from envy.events import EventBus, Listener
from envy.execution.services import Services
from envy.host.children import Children
from envy.host.platform import Platform, available_cores, host_platform
from envy.jobserver.budget import Jobserver
from envy.locking.lock import LockView
from envy.lua.open_states import OpenStates
from envy.lua.runtime import LuaState
from envy.lua.sandbox import SandboxSettings
from envy.masking import forget_all
from envy.phases.table import RESOLVING, STEPS, Steps
from envy.scheduler.coordinator import Coordinator

if TYPE_CHECKING:
    from envy.engine.lock_maker import OpenOther

DEFAULT_FETCH_JOBS = 8


@contextlib.contextmanager
def open_session(
    settings: Settings,
    *,
    owns_stdout: bool = False,
    installs: bool = True,
    writes: bool = True,
    upstream: Upstream = Upstream.REMEMBERED,
    observers: Sequence[Listener] = (),
    steps: Steps = STEPS,
    lock_order: LockOrder | None = None,
    platform: Platform | None = None,
) -> Iterator[Session]:
    """Open a session for the manifest, and close everything in order at the end of the block.

    With `owns_stdout`, only the command prints to stdout, and recipes print to stderr. Without
    `installs`, not even the tools that a custom source needs are installed. Without `writes`, the
    cache is only read. `upstream` says whether unpinned sources are looked up where they are.
    `observers` receive events beside the consoles and traces. `steps` are those of the engine.
    `lock_order` says how envy.lock is used, instead of the settings. `platform` replaces the host.

    Raises:
        ManifestError: the manifest is missing or not valid; UsageError: an option is not valid.
    """
    _freeze_modules()
    forget_all()
    variables = dict(settings.environment)
    path = manifest_path(settings)
    listeners = _listeners(settings, owns_stdout=owns_stdout)
    bus = EventBus([*listeners, *observers])
    children, terminal = Children(), UserTerminal(listeners, assume_yes=settings.assume_yes)
    control = Control(bus, children, verbose=settings.verbose, asking=lambda: terminal.asking)
    with contextlib.ExitStack() as closing:
        layout, stamp = _layout(settings, closing, writes=writes), _stamp()
        jobserver = _jobserver(settings, variables, bus, folder=layout.jobservers_root, name=stamp)
        closing.callback(jobserver.close)
        services = Services(
            platform=platform or host_platform(),
            environment=variables,
            project_dir=path.parent,
            layout=layout,
            events=bus,
            children=children,
            terminal=terminal,
            cores=settings.jobs or available_cores(),
            fetch_jobs=settings.fetch_jobs or DEFAULT_FETCH_JOBS,
            stamp=stamp,
            jobserver=jobserver,
            resolutions=_resolutions(layout, path),
            upstream=upstream,
            downloads=_downloads(layout, path, writes=writes),
            offline=settings.offline,
        )
        closing.callback(bus.close)
        closing.enter_context(control.running())
        start = functools.partial(_started, order=lock_order, installs=installs, steps=steps)
        session = start(settings, services, path, control, closing)
        if writes:
            closing.callback(session.store_resolutions)
        yield session


def _started(
    settings: Settings,
    services: Services,
    path: Path,
    control: Control,
    closing: contextlib.ExitStack,
    *,
    order: LockOrder | None,
    installs: bool,
    steps: Steps,
) -> Session:
    """Load the manifest and its lock, and create the engine, which `closing` ends."""
    manifest, undecided = _load_manifest(path, services, control)
    order = order or LockOrder(LockMode.REQUIRED if settings.locked else LockMode.OBEYED)
    use = use_lock(manifest, services.platform, order)
    services = locked_services(services, manifest, use)
    services = dataclasses.replace(
        services,
        sharing=shared_places(settings, manifest),
        remote_scripts=remote_scripts(settings, manifest, services.events),
    )
    parts = (settings, services, manifest, undecided, control)
    engine = _engine(*parts, installs=installs, steps=steps)
    closing.enter_context(_running(engine))
    other = _opener(settings, engine, path, control)
    return Session(engine, manifest, lock_use=use, on_platform=other)


def _opener(settings: Settings, engine: Engine, path: Path, control: Control) -> OpenOther:
    """Return a function that opens a project for another platform, for which it only resolves.

    It does so silently. What repositories and registries answered is shared: all platforms find
    the same upstream.
    """

    @contextlib.contextmanager
    def open_other(
        platform: Platform, view: LockView, custom_recipes: Mapping[str, Path]
    ) -> Iterator[tuple[Engine, Manifest]]:
        bus = EventBus(())
        services = dataclasses.replace(
            engine.services,
            platform=platform,
            events=bus,
            jobserver=None,
            resolutions=Resolutions(),
            lock=view,
            require_digest=False,
            sharing=None,
            remote_scripts=None,
            custom_recipes=custom_recipes,
            open_states=OpenStates(),
        )
        try:
            manifest, undecided = _load_manifest(path, services, control)
            services = dataclasses.replace(services, bundles=manifest.bundles, open_bundles={})
            coordinator = Coordinator(interpreter=engine.coordinator.interpreter)
            parts = (settings, services, manifest, undecided, control)
            other = _engine(*parts, installs=False, steps=RESOLVING, coordinator=coordinator)
            yield other, manifest
        finally:
            _attend(control, engine)
            bus.close()

    return open_other


def _engine(
    settings: Settings,
    services: Services,
    manifest: Manifest,
    undecided: Undecided,
    control: Control,
    *,
    installs: bool,
    steps: Steps,
    coordinator: Coordinator | None = None,
) -> Engine:
    project = Project(
        manifest=str(manifest.path),
        aliases=manifest.aliases,
        default_shell=manifest.default_shell,
        shell_origin=manifest.shell_origin,
        overrides=manifest.overrides,
    )
    engine = Engine(
        services,
        project,
        jobs=services.cores,
        fail_fast=settings.fail_fast,
        durations=_durations(services.layout, services.project_dir),
        installs=installs,
        steps=steps,
        coordinator=coordinator,
        undecided=undecided,
        on_stop=control.expect_end,
    )
    _attend(control, engine)
    return engine


def _attend(control: Control, engine: Engine) -> None:
    control.attend(
        engine,
        is_stuck=engine.coordinator.interpreter.is_in_lua,
        last_words=lambda: print_stopped(engine),
    )


@contextlib.contextmanager
def _running(engine: Engine) -> Iterator[None]:
    """Hold the interpreter slot, and close the engine in the end."""
    try:
        with engine.coordinator.interpreter.running():
            yield
    finally:
        engine.close()


def _durations(layout: CacheLayout, project_dir: Path) -> Durations:
    return Durations(durations_path(str(layout.durations_root), str(project_dir)))


def _listeners(settings: Settings, *, owns_stdout: bool) -> list[Listener]:
    streams = Streams(output=sys.stderr if owns_stdout else sys.stdout, errors=sys.stderr)
    is_terminal = can_draw(sys.stderr, settings.environment)
    return make_listeners(settings, is_terminal=is_terminal, streams=streams)


def _jobserver(
    settings: Settings, variables: dict[str, str], bus: EventBus, *, folder: Path, name: str
) -> Jobserver:
    """Return the jobserver; that of a make that started envy is removed from the variables."""
    # With --jobs, the command has a budget of its own, even under a make.
    outer = take_outer_jobserver(variables, wanted=settings.jobs is None)
    jobs = settings.jobs or available_cores()
    return make_jobserver(bus, jobs=jobs, folder=folder, name=name, outer=outer)


def _resolutions(layout: CacheLayout, manifest: Path) -> Resolutions:
    return Resolutions(resolutions_path(str(layout.resolutions_root), str(manifest)), str(manifest))


def _downloads(layout: CacheLayout, manifest: Path, *, writes: bool) -> Downloads:
    # What a registry named depends on the platform, and on the project's configuration.
    project = f"{manifest}\0{host_platform().tag}"
    return Downloads(str(layout.root), project=project, writes=writes)


@functools.cache
def _freeze_modules() -> None:
    """Leave out what is loaded by now when garbage is collected (see `__main__`).

    This runs once in a process, because freezing again would keep the objects of an earlier
    session forever.
    """
    gc.freeze()


def _layout(settings: Settings, closing: contextlib.ExitStack, *, writes: bool) -> CacheLayout:
    root = cache_root(settings)
    if writes:
        return CacheLayout(root)
    from envy.cache.overlay_layout import OverlayLayout
    from envy.content.scratch import scratch_folder

    folder = closing.enter_context(scratch_folder("plan"))
    return OverlayLayout(root, scratch=folder.resolve())


def _load_manifest(path: Path, services: Services, control: Control) -> tuple[Manifest, Undecided]:
    undecided = Undecided(services.events)
    states: list[LuaState] = []

    def log(level: str, message: str) -> None:
        undecided.manifest_read(states[0].reads.variables)
        services.events.log(level, message, recipe=MANIFEST_NAME)

    def stdout(message: str) -> None:
        undecided.manifest_read(states[0].reads.variables)
        services.events.standard_output(message, recipe=MANIFEST_NAME)

    def make_state(base_dir: Path) -> LuaState:
        states[:] = [
            LuaState(
                SandboxSettings(
                    platform=services.platform,
                    environment=services.environment,
                    should_stop=lambda: control.cancelled,
                    on_log=log,
                    on_stdout=stdout,
                ),
                base_dir=base_dir,
            )
        ]
        return states[0]

    manifest = load_manifest(path, platform=services.platform, make_state=make_state)
    for warning in manifest.warnings:
        services.events.log("warn", warning)
    undecided.manifest_read(manifest.reads.variables)
    return manifest, undecided


def _stamp() -> str:
    """Return a name for this run's logs, which sorts by time and is unique on this machine."""
    import os

    now = time.time()
    fraction = int(now % 1 * 1_000_000)
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"-{fraction:06d}-{os.getpid()}"
