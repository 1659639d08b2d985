"""What the manifest says about tests: its compilers, its suites, and what they run with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.cli.listeners import Relay
from envy.cli.outcome import print_failures, resolved, summarise
from envy.cli.test_setup import RunContext
from envy.cli.wiring import open_session
from envy.declarations.key import RecipeKey
from envy.declarations.manifest_search import find_manifest, global_manifest
from envy.declarations.test_rules import TestRule
from envy.declarations.test_settings import NO_TESTS, TestSettings
from envy.engine.session import Session
from envy.errors import ManifestError
from envy.testing.drivers.native.libraries import NO_LIBRARIES, Libraries
from envy.testing.drivers.native.toolchain import NoNativeToolchain
from envy.testing.drivers.projects.project import NotTestable

_PROGRAMS = ("zig", "clang", "llvm-link")  # products of the manifest's packages
_NAMES = frozenset({"zig", "llvm", "clang"})  # of packages that may provide them


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOfTests:
    """The programs and settings of a manifest; without one, those of the machine."""

    environment: dict[str, str]  # with the variables of the compiler's package
    package: str = ""  # of the compiler
    products: dict[str, Path] = dataclasses.field(default_factory=dict)
    libraries: Libraries = NO_LIBRARIES
    suite_environment: dict[str, str] = dataclasses.field(default_factory=dict)
    rules: tuple[TestRule, ...] = ()  # of single tests


def manifest_path(context: RunContext) -> Path | None:
    """Return the manifest that counts for the command; None without one."""
    settings = context.settings
    try:
        return find_manifest(
            context.directory,
            named=settings.manifest,
            fallback=global_manifest(settings.environment),
        )
    except ManifestError:
        if settings.manifest is not None:
            raise
        return None


def may_have_suites(path: Path | None) -> bool:
    """Return whether a manifest may have a table `tests`."""
    try:
        return path is not None and b"tests" in path.read_bytes()
    except OSError:
        return False


def project_of_tests(
    context: RunContext,
    path: Path | None,
    *,
    native: bool,
    has_suites: Callable[[TestSettings | None], bool],
) -> ProjectOfTests:
    """Return what the manifest provides, installed: a compiler if `native`, all for suites.

    `has_suites` is told the table `tests` and says whether suites are to run.
    """
    own = dict(context.environment)
    if path is None:
        has_suites(None)
        return ProjectOfTests(environment=own, suite_environment=own)
    settings = context.settings
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
        tests = session.manifest.tests
        # The user's own manifest says nothing about a project.
        is_own = str(path) != str(global_manifest(settings.environment))
        runs_suites = has_suites(tests if is_own else None) and is_own
        found = ProjectOfTests(
            environment=own,
            suite_environment=own,
            libraries=Libraries(path.parent, tests or NO_TESTS),
            rules=tests.rules if tests is not None and is_own else (),
        )
        packages = session.manifest.packages
        compilers = [spec.key for spec in packages if _NAMES & {spec.key.name, spec.alias}]
        compilers = compilers if native else []
        if not (compilers or runs_suites):
            return found
        goals = resolved(session)
        _install(session, goals if runs_suites else compilers, for_suites=runs_suites)
        found = _provided(session, found, compilers, runs_suites=runs_suites)
        session.store_answer()
        return found


def _install(session: Session, goals: Sequence[RecipeKey], *, for_suites: bool) -> None:
    result = summarise(session.install(goals), session, seconds=0)
    if session.cancellation is not None:
        raise session.cancellation
    if result.failures:
        print_failures(result.failures, session.environment)
        if for_suites:
            raise NotTestable("cannot install the packages of the manifest, which the tests need")
        raise NoNativeToolchain(f"cannot install {goals[0]}, the manifest's compiler")


def _provided(
    session: Session, found: ProjectOfTests, compilers: Sequence[RecipeKey], *, runs_suites: bool
) -> ProjectOfTests:
    base = session.environment
    if runs_suites:
        whole = session.project_environment().applied_to(base)
        found = dataclasses.replace(found, suite_environment=dict(whole))
    if not compilers:
        return found
    products: dict[str, Path] = {}
    for key in compilers:
        known = session.products_of(session.recipe(key))
        products |= {name: Path(known[name]) for name in _PROGRAMS if name in known}
    return dataclasses.replace(
        found,
        environment=dict(session.project_environment(compilers).applied_to(base)),
        package=compilers[0].canonical,
        products=products,
    )
