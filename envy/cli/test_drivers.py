"""The drivers that a run of `envy test` needs, by what its patterns match, and their toolchains."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.cache.names import NATIVE_TESTS_FOLDER, ZIG_CACHE_FOLDER
from envy.cli.test_manifest import project_of_tests
from envy.cli.test_options import TestOptions
from envy.cli.test_recipes import make_recipe_driver, matches_recipes, recipe_patterns
from envy.cli.test_setup import (
    RunContext,
    make_driver,
    make_flags,
    make_toolchain,
    patterns_of,
    run_settings,
)
from envy.cli.test_suites import SuiteSearch, TestSuites
from envy.declarations.test_rules import TestRule
from envy.errors import UsageError
from envy.host.children import Children
from envy.host.platform import available_cores
from envy.testing.drivers.combined import CombinedDriver
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.drivers.native.driver import NativeDriver
from envy.testing.drivers.native.libraries import NO_LIBRARIES, Libraries
from envy.testing.drivers.native.sources import SUFFIXES, find_packages
from envy.testing.drivers.native.store import NativeStore
from envy.testing.drivers.native.toolchain import (
    SANITIZERS,
    NativeToolchain,
    NativeWishes,
    find_toolchain,
)
from envy.testing.drivers.projects.inputs import Snapshot
from envy.testing.package import Driver, NothingMatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchains:
    """The toolchains of a command, and the patterns of each driver."""

    go: GoToolchain | None = None
    native: NativeToolchain | None = None
    libraries: Libraries = NO_LIBRARIES
    suites: TestSuites | None = None
    search: Snapshot = field(default_factory=lambda: Snapshot({}))  # what decided on the suites
    rules: tuple[TestRule, ...] = ()  # of the manifest, for single tests
    recipes: tuple[str, ...] = ()  # the patterns of tests of recipes, which need no toolchain

    @property
    def package(self) -> str:
        """The manifest's package of a toolchain; "" if none is from the manifest."""
        native = self.native.package if self.native is not None else ""
        return (self.go.package if self.go is not None else "") or native

    def with_children(self, children: Children) -> Toolchains:
        """Return the same toolchains, whose programs are these children."""
        go = dataclasses.replace(self.go, children=children) if self.go is not None else None
        return dataclasses.replace(self, go=go)


def make_toolchains(context: RunContext) -> Toolchains:
    """Return the toolchains that the patterns of the command need; install what is missing.

    Raises:
        EnvyError: One is missing, or the patterns match nothing that can be tested.
    """
    options = context.options
    search = SuiteSearch(context)
    native = [word for word in options.patterns or ["./..."] if _is_native(context, word)]
    recipes = recipe_patterns(context, _matching_recipes(context.directory, options.patterns))
    _check_sanitize(options.sanitize, native)
    project = None
    if native or search.needs_manifest:
        project = project_of_tests(
            context, search.manifest, native=bool(native), has_suites=search.take
        )
    suites = search.found_with(project)
    go, native = divide_patterns(context.directory, options.patterns, suites, recipes)
    if not go and (native or recipes or suites is not None):
        _check_flags(options, suites, "native tests" if native else "tests of recipes")
    if options.coverage and not (go or native or suites is not None):
        raise UsageError("--coverage cannot measure tests of recipes, and no others match")
    chosen = make_toolchain(context) if go else None
    rules = project.rules if project is not None else ()
    known = Toolchains(
        go=chosen, suites=suites, search=search.snapshot, recipes=tuple(recipes), rules=rules
    )
    if not native or project is None:
        return known
    found = find_toolchain(
        project.products,
        project.environment,
        NativeWishes(coverage=bool(options.coverage), sanitize=options.sanitize),
        children=context.children,
        zig_cache=_tests_folder(context) / ZIG_CACHE_FOLDER,
    )
    found = dataclasses.replace(found, package=project.package)
    return dataclasses.replace(known, native=found, libraries=project.libraries)


def _is_native(context: RunContext, word: str) -> bool:
    return bool(find_packages(context.directory, [word]))


@contextlib.contextmanager
def open_driver(
    context: RunContext, toolchains: Toolchains, patterns: Sequence[str]
) -> Iterator[Driver]:
    """Provide the driver of one run."""
    flags = make_flags(context.options, context.directory)
    suites = toolchains.suites
    recipes = _matching_recipes(context.directory, patterns)
    if list(patterns) == list(context.options.patterns):
        recipes = list(toolchains.recipes)
    go, native = divide_patterns(context.directory, patterns, suites, recipes)
    drivers: list[tuple[Driver, Sequence[str]]] = []
    with contextlib.ExitStack() as closing:
        if toolchains.go is not None and go:
            scratch = closing.enter_context(context.store.build_dir())
            driver_of_go = make_driver(context, toolchains.go, flags, scratch, toolchains.rules)
            drivers.append((driver_of_go, patterns_of(go)))
        if toolchains.native is not None and native:
            store = NativeStore(_tests_folder(context) / NATIVE_TESTS_FOLDER)
            scratch = closing.enter_context(store.build_dir())
            driver = _native_driver(context, toolchains, store, scratch)
            closing.callback(driver.close)
            drivers.append((driver, native))
        if recipes:
            drivers.append((make_recipe_driver(context, toolchains.rules), recipes))
        if suites is not None:
            words = list(patterns) or ["./..."]
            drivers += [(driver, words) for driver in closing.enter_context(suites.open(context))]
        if not drivers:
            raise NothingMatched(f"no tests match {' '.join(patterns) or './...'}")
        # The combined driver has the patterns of each: those of recipes may be more than asked.
        is_one = len(drivers) == 1 and not recipes
        yield drivers[0][0] if is_one else CombinedDriver(drivers)


def clean_native(context: RunContext) -> int:
    """Remove what is kept of native tests; return the number of bytes freed."""
    folders = (NATIVE_TESTS_FOLDER, ZIG_CACHE_FOLDER)
    return sum(NativeStore(_tests_folder(context) / name).clean() for name in folders)


def _matching_recipes(root: Path, words: Sequence[str]) -> list[str]:
    """Return the patterns that match tests of recipes."""
    return [word for word in words or ["./..."] if matches_recipes(root, word)]


def divide_patterns(
    root: Path,
    words: Sequence[str],
    suites: TestSuites | None = None,
    recipes: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the patterns of Go and those of native tests; a folder may be of both.

    What matches no native tests, no suite and no `recipes` is left to Go, which says why it does
    not match.
    """
    go: list[str] = []
    native: list[str] = []
    in_module = _is_in_go_module(root)
    for word in words or ["./..."]:
        matches = bool(find_packages(root, [word]))
        if matches:
            native.append(word)
        elif suites is not None and suites.may_match(root, word):
            matches = True
        elif word.endswith(SUFFIXES):
            raise NothingMatched(_no_test_file(root, word))
        matches = matches or word in recipes or bool(recipes and not words)
        if not matches or (in_module and _may_be_go(root, word)):
            go.append(word)
    is_empty = not (native or recipes) and suites is None
    if go and is_empty and not in_module and _has_only_c(root, go):
        raise NothingMatched(
            "there are no tests: no file is named *_test.c, *_test.cc, *_test.cpp or *_test.cxx",
            hint="a test is a function `int test_NAME(void)` in such a file",
        )
    for word in go:
        is_folder = word.startswith((".", "/")) and not word.endswith("...")
        if is_folder and not in_module and not (root / word).exists():
            raise NothingMatched(f"there is no folder {word}")
    if not is_empty and not in_module:
        go = [word for word in go if not (word.startswith(".") or (root / word).exists())]
    return go, native


def _no_test_file(root: Path, word: str) -> str:
    if not (root / word).exists():
        return f"there is no file {word}"
    return f"{word} is not a test file; its name must end with _test{Path(word).suffix}"


def _is_in_go_module(root: Path) -> bool:
    return any(
        (folder / name).exists()
        for folder in (root, *root.parents)
        for name in ("go.mod", "go.work")
    )


def _may_be_go(root: Path, word: str) -> bool:
    if word.endswith("..."):
        return True
    folder = root / word
    return folder.is_dir() and any(name.endswith(".go") for name in os.listdir(folder))  # noqa: PTH208


def _has_only_c(root: Path, words: Sequence[str]) -> bool:
    """Return whether the folders of these patterns have C sources and nothing of Go."""
    names: set[str] = set()
    for word in words:
        folder = root / word.removesuffix("...")
        if not folder.is_dir():
            return False
        for _, _, files in os.walk(folder):
            names |= {os.path.splitext(name)[1] for name in files}  # noqa: PTH122
    return ".go" not in names and bool(names & set(SUFFIXES))


def _check_flags(options: TestOptions, suites: TestSuites | None, kind: str) -> None:
    flags = [name for name, _ in options.go_flags if name != "C"]
    what = kind if suites is None else "no Go packages"
    if flags:
        only = " only" if suites is None else ""
        raise UsageError(f"-{flags[0]} is a flag of Go, and the patterns match {what}{only}")
    if options.arguments and suites is None:
        raise UsageError(f"{kind} take no arguments")


def _check_sanitize(wanted: str, native: Sequence[str]) -> None:
    unknown = [kind for kind in wanted.split(",") if kind not in SANITIZERS]
    if wanted and unknown:
        raise UsageError(
            f"--sanitize: {unknown[0]!r} is not a sanitizer", hint=f"one of {', '.join(SANITIZERS)}"
        )
    if wanted and not native:
        raise UsageError("--sanitize is for native tests, and the patterns match none")


def _native_driver(
    context: RunContext, toolchains: Toolchains, store: NativeStore, scratch: Path
) -> NativeDriver:
    options = context.options
    assert toolchains.native is not None
    return NativeDriver(
        toolchains.native,
        run_settings(context.settings, options, toolchains.rules),
        root=context.directory,
        store=store,
        scratch=scratch,
        build_jobs=options.build_jobs or available_cores(),
        children=context.children,
        environment=context.environment,
        count=options.count or 1,
        rebuild=options.no_cache,
        libraries=toolchains.libraries,
        remote=context.remote,
    )


def _tests_folder(context: RunContext) -> Path:
    return context.store.root.parent
