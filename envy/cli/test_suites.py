"""The suites of tests that the patterns of `envy test` match, and their drivers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envy.cache.names import TEST_LISTINGS_FOLDER
from envy.cli.test_manifest import ProjectOfTests, manifest_path, may_have_suites
from envy.cli.test_setup import RunContext, run_settings
from envy.content.scratch import scratch_folder
from envy.declarations.test_rules import TestRule
from envy.declarations.test_settings import TestSettings
from envy.errors import UsageError
from envy.host.platform import available_cores
from envy.testing.drivers.projects.driver import ProjectDriver, SuitePlace
from envy.testing.drivers.projects.finding import Found, Suite, find_suites, may_match
from envy.testing.drivers.projects.inputs import Snapshot
from envy.testing.drivers.projects.kinds_table import KINDS
from envy.testing.drivers.projects.listings import Listings
from envy.testing.drivers.projects.project import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSuites:
    """The suites of a command, and the variables that they run with."""

    __test__ = False

    suites: tuple[Suite, ...]
    environment: dict[str, str]
    folder: Path  # of the manifest, or else of the command
    rules: tuple[TestRule, ...] = ()

    def may_match(self, root: Path, pattern: str) -> bool:
        """Return whether a pattern may match tests of a suite."""
        return any(
            may_match(root, pattern, project.directory, suite.settings.name)
            for suite in self.suites
            for project in suite.projects
        )

    @contextlib.contextmanager
    def open(self, context: RunContext) -> Iterator[list[ProjectDriver]]:
        """Provide a driver for each suite."""
        options = context.options
        if options.arguments and len(self.suites) > 1:
            names = ", ".join(suite.settings.name for suite in self.suites)
            raise UsageError(
                f"arguments after -- are for one suite, and the patterns match {names}",
                hint=f"name one: envy test {self.suites[0].settings.name} -- …",
            )
        with scratch_folder("test") as scratch:
            tools = Tools(
                root=context.directory,
                environment=self.environment,
                children=context.children,
                scratch=scratch,
                settings=run_settings(context.settings, options, self.rules),
                build_jobs=options.build_jobs or available_cores(),
                arguments=options.arguments,
                coverage=scratch / "coverage" if options.coverage else None,
                machine_path=context.environment.get("PATH", ""),
            )
            place = SuitePlace(
                manifest_folder=self.folder,
                listings=Listings(
                    Path(context.results.root) / TEST_LISTINGS_FOLDER,
                    reads=context.results.writes,
                    writes=context.results.writes,
                ),
                since=lambda: context.results.since,
            )
            yield [
                ProjectDriver(suite, tools, place, count=options.count or 1)
                for suite in self.suites
            ]


class SuiteSearch:
    """Finds the suites: by their project files, or those that the manifest names."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.snapshot = Snapshot(context.environment)
        self.manifest = manifest_path(context)
        self._folder = self.manifest.parent if self.manifest is not None else context.directory
        self._named = may_have_suites(self.manifest)
        self._found = Found(self.snapshot)
        if not self._named:
            self._find(None)

    @property
    def needs_manifest(self) -> bool:
        """Whether the manifest decides on suites, or has what they run with."""
        return self._named or bool(self._found.suites)

    def take(self, tests: TestSettings | None) -> bool:
        """Take the table `tests` of the manifest; return whether suites are to run."""
        if self._named:
            self._find(tests)
        return bool(self._found.suites)

    def found_with(self, project: ProjectOfTests | None) -> TestSuites | None:
        """Return the suites with the programs of the project; None if there are none."""
        if not self._found.suites or project is None:
            return None
        return TestSuites(
            suites=tuple(self._found.suites),
            environment=project.suite_environment,
            folder=self._folder,
            rules=project.rules,
        )

    def _find(self, tests: TestSettings | None) -> None:
        self._found = find_suites(
            self._context.directory,
            self._context.options.patterns,
            KINDS,
            tests.suites if tests is not None and tests.names_suites else None,
            manifest_folder=self._folder,
            snapshot=self.snapshot,
        )
