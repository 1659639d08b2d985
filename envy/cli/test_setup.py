"""Creating the toolchain, driver, views and settings of `envy test` from its options."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from envy.cache.names import (
    TEST_BINARIES_FOLDER,
    TEST_HISTORY_FOLDER,
    TEST_RESULTS_FOLDER,
    TESTS_FOLDER,
)
from envy.cli.cache_root import cache_root
from envy.cli.control import Control
from envy.cli.listeners import Relay, make_listeners
from envy.cli.settings import Settings
from envy.cli.test_caches import remote_tests, result_cache, shared_results
from envy.cli.test_options import TestOptions
from envy.cli.test_selection import make_selector
from envy.cli.wiring import open_session
from envy.console.colours import has_colours
from envy.console.drawing import can_draw
from envy.console.text import Streams
from envy.declarations.manifest_search import find_manifest, global_manifest
from envy.declarations.test_rules import TestRule
from envy.errors import EnvyError, ManifestError, UsageError
from envy.events import EventBus
from envy.host.children import Children
from envy.host.offline import offline_variables
from envy.host.platform import available_cores
from envy.testing.digest_memo import DigestMemo
from envy.testing.drivers.go import GoDriver
from envy.testing.drivers.go_build import BinaryStore
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_toolchain import (
    GoToolchain,
    NoToolchain,
    find_go,
    open_toolchain,
)
from envy.testing.history import History
from envy.testing.package import NothingMatched, RunSettings
from envy.testing.remote.tests import RemoteTests
from envy.testing.result_cache import ResultCache
from envy.testing.results import LastRun
from envy.testing.run_record import ToolchainSource, manifest_for
from envy.testing.selection import Selector
from envy.testing.session_result import View
from envy.testing.session_settings import SessionSettings
from envy.testing.shared.results import SharedResults
from envy.testing.views.json import JsonView
from envy.testing.views.plain import PlainView, ShowOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The objects that all runs of one command share."""

    settings: Settings
    options: TestOptions
    directory: Path
    events: EventBus
    traces: EventBus  # writes the events of tests, and of the session that installs a toolchain
    children: Children
    control: Control
    environment: Mapping[str, str]
    store: BinaryStore
    last_run: LastRun
    history: History
    results: ResultCache
    shared: SharedResults | None = None
    remote: RemoteTests | None = None


@contextlib.contextmanager
def open_context(settings: Settings, options: TestOptions) -> Iterator[RunContext]:
    """Set up signals, traces and the cache for the duration of the command."""
    directory = _directory(options)
    streams = Streams(output=sys.stdout, errors=sys.stderr)
    console, *writers = make_listeners(settings, is_terminal=False, streams=streams)
    traces = EventBus(writers)
    bus = EventBus([console, *([Relay(traces)] if writers else [])])
    children = Children()
    control = Control(bus, children)
    root = cache_root(settings) / TESTS_FOLDER
    # An option that asks for a run reads no results.
    reads = not (options.no_cache or options.rerun or options.count is not None)
    with contextlib.ExitStack() as closing:
        closing.callback(traces.close)
        closing.callback(bus.close)
        closing.enter_context(control.running())
        yield RunContext(
            settings=settings,
            options=options,
            directory=directory,
            events=bus,
            traces=traces,
            children=children,
            control=control,
            environment=settings.environment,
            store=BinaryStore(root / TEST_BINARIES_FOLDER),
            last_run=LastRun(root / TEST_RESULTS_FOLDER, directory),
            history=History(root / TEST_HISTORY_FOLDER, directory),
            results=result_cache(
                str(root),
                settings,
                reads=reads,
                writes=not options.no_cache,
            ),
            shared=shared_results(settings, directory, root.parent, bus),
            remote=remote_tests(
                settings,
                directory,
                root.parent,
                bus,
                jobs=options.remote_jobs if options.remote_exec else 0,
                reads=reads,
                quiet=settings.quiet or options.json == "-",
            ),
        )


def _directory(options: TestOptions) -> Path:
    named = next((value for name, value in options.go_flags if name == "C" and value), ".")
    directory = Path(named).absolute()
    if not directory.is_dir():
        raise UsageError(f"-C: {named} is not a folder")
    return directory


# -- the toolchain ---------------------------------------------------------------------------------


def go_of_project(context: RunContext) -> tuple[Path, dict[str, str], str] | None:
    """Return the manifest's `go`, its exported variables and its package; install it if missing.

    None if there is no manifest, or it lists no Go.
    """
    settings = context.settings
    try:
        path = find_manifest(
            context.directory,
            named=settings.manifest,
            fallback=global_manifest(settings.environment),
        )
    except ManifestError:
        if settings.manifest is not None:
            raise
        return None
    from envy.cli.outcome import print_failures, resolved, summarise

    quiet = dataclasses.replace(
        settings,
        manifest=path,
        trace_file=None,
        trace_timeline=None,
        trace_stderr=False,
        jobs=None,
        quiet=settings.quiet or context.options.json == "-",
    )
    observers = [Relay(context.traces)] if context.traces.listening else []
    with open_session(quiet, owns_stdout=True, observers=observers) as session:
        packages = session.manifest.packages
        specs = [spec for spec in packages if "go" in {spec.key.name, spec.alias}]
        if not specs:
            return None
        key = specs[0].key
        resolved(session)
        result = summarise(session.install([key]), session, seconds=0)
        if session.cancellation is not None:
            raise session.cancellation
        if result.failures:
            print_failures(result.failures, settings.environment)
            raise NoToolchain(f"cannot install {key}, the manifest's Go")
        recipe = session.recipe(key)
        products = session.products_of(recipe)
        if "go" not in products:
            raise EnvyError(
                f"{key} does not provide the product `go`",
                hint="add it to its recipe's `products`",
            )
        environment = session.project_environment([key]).applied_to(settings.environment)
        session.store_answer()
        return Path(products["go"]), environment, key.canonical


def toolchain_source(context: RunContext, package: str) -> ToolchainSource:
    """Return where the toolchain comes from: a package of the manifest, or "" for PATH."""
    named = context.settings.manifest
    root = str(cache_root(context.settings))
    folder = "" if named is not None else str(context.directory)
    manifest = str(named or manifest_for(folder, context.settings.environment))
    return ToolchainSource(root, folder, manifest, package)


def make_toolchain(context: RunContext) -> GoToolchain:
    """Return the manifest's Go, or else the Go on PATH.

    Raises:
        NoToolchain: There is neither.
    """
    found = go_of_project(context)
    program, exports, package = found or (find_go(context.environment), {}, "")
    environment = {**context.environment, **exports}
    if context.settings.offline:
        environment |= offline_variables(environment)
    return open_toolchain(
        program,
        directory=context.directory,
        environment=environment,
        children=context.children,
        package=package,
    )


def make_flags(options: TestOptions, directory: Path) -> GoFlags:
    """Return Go's flags, sorted by where they go."""
    flags = GoFlags(arguments=options.arguments)
    for name, value in options.go_flags:
        flags.add(name, value, where=directory)
    flags.measures = bool(options.coverage)
    if options.coverage and "-cover" not in flags.build:
        flags.build.append("-cover")
    return flags


def make_driver(
    context: RunContext,
    toolchain: GoToolchain,
    flags: GoFlags,
    scratch: Path,
    rules: tuple[TestRule, ...] = (),
) -> GoDriver:
    """Return the Go driver for one run."""
    options = context.options
    return GoDriver(
        toolchain,
        flags,
        run_settings(context.settings, options, rules),
        store=context.store,
        scratch=scratch,
        build_jobs=options.build_jobs or available_cores(),
        count=options.count or 1,
        memo=DigestMemo(
            context.results.root if context.results.writes else "",
            str(toolchain.root),
            settled=context.results.since,
        ),
        rebuild=options.no_cache,
        remote=context.remote,
    )


def run_settings(
    settings: Settings, options: TestOptions, rules: tuple[TestRule, ...] = ()
) -> RunSettings:
    """Return the settings for running tests; `rules` are those of the manifest."""
    return RunSettings(
        timeout=options.timeout,
        total_timeout=options.total_timeout,
        retries=options.retries,
        flaky_fails=options.flaky == "fail",
        isolate=options.isolate,
        fail_fast=settings.fail_fast,
        max_failures=options.max_fails,
        rules=rules,
    )


def session_settings(context: RunContext, *, selector: Selector | None = None) -> SessionSettings:
    """Return the settings of a session."""
    options = context.options
    return SessionSettings(
        selector=selector or make_selector(options, context.last_run),
        run=run_settings(context.settings, options),
        jobs=context.settings.jobs or 1,
        build_only=options.build_only,
        stop_on_build_error=options.stop_on_build_error,
        measures_coverage=bool(options.coverage),
        min_coverage=options.min_coverage,
        results=None if options.build_only else context.results,
        shared=None if options.no_cache else context.shared,
        remote=context.remote,
    )


# -- views -----------------------------------------------------------------------------------------


def make_views(settings: Settings, options: TestOptions, *, plain: bool = True) -> list[View]:
    """Create the views that show or record a run."""
    views: list[View] = []
    to_stdout = options.json == "-"
    if options.json:
        stream = sys.stdout if to_stdout else _opened(options.json)
        views.append(JsonView(stream, closes=not to_stdout))
    if options.junit:
        from envy.testing.views.junit import JunitView

        check_writable(Path(options.junit))
        views.append(JunitView(Path(options.junit)))
    # A reader of the events, such as gotestsum, counts each line on standard error as an error.
    if plain and not (to_stdout and not sys.stderr.isatty()):
        output = sys.stderr if to_stdout else sys.stdout
        streams = Streams(output=output, errors=sys.stderr)
        views.append(plain_view(settings, options, streams, is_shown=True))
    return views


def plain_view(
    settings: Settings, options: TestOptions, streams: Streams, *, is_shown: bool = False
) -> PlainView:
    """Return the view that writes lines; if they are shown, on a terminal with colours."""
    show = ShowOutput.ALL if settings.verbose else ShowOutput(options.show_output)
    to_stdout = options.json == "-"
    return PlainView(
        streams,
        show=ShowOutput.NONE if to_stdout else show,
        slow=options.slow,
        slowest=options.slowest,
        profile=options.profile,
        coverage=options.coverage,
        quiet=settings.quiet or to_stdout,
        live=is_shown and settings.progress and can_draw(sys.stderr, settings.environment),
        colours=is_shown and has_colours(streams.output, settings.environment),
    )


def check_writable(path: Path | None) -> None:
    """Check that a file can be written before the run, rather than at its end.

    Raises:
        UsageError: It cannot be written.
    """
    if path is not None:
        _opened(path).close()


def _opened(name: str | Path) -> TextIO:
    try:
        return Path(name).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from error


def patterns_of(words: Sequence[str]) -> list[str]:
    """Return the patterns for `go list`: a test file means its folder; no pattern means all.

    Raises:
        NothingMatched: A file does not exist.
    """
    found = []
    for word in words:
        if word.endswith("_test.go") and Path(word).is_file():
            folder = Path(word).parent
            found.append(str(folder) if folder.is_absolute() else f"./{folder.as_posix()}")
        elif word.endswith(".go") and not Path(word).exists():
            raise NothingMatched(f"there is no file {word}")
        else:
            found.append(word)
    return found or ["./..."]
