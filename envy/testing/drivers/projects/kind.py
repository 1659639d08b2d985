"""What a kind of tests is to `envy test`: the projects it finds, and how their tests run.

A kind extends `TestKind`. One `ProjectDriver` carries one suite of a kind through a session: it
finds the projects, remembers their tests and results, selects, retries and reports. A kind knows
the project files, the programs and the formats, and nothing else.

Names
  The name of a test comes from `names.test_name`. A test of a file is `FILE::NAME`, with the file
  relative to the folder of its package. A slash divides a test from its subtest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.job import SuiteJob
from envy.testing.drivers.projects.project import Folder, ProjectTests, SuiteProject, Tools


class TestKind:
    """One kind of tests. Its methods are called by workers, without a lock."""

    __test__: ClassVar[bool] = False

    name: ClassVar[str] = ""
    project_files: ClassVar[frozenset[str]] = frozenset()  # names for which a folder is looked into
    lock_files: ClassVar[tuple[str, ...]] = ()  # count as inputs, even if git ignores them
    selects: ClassVar[bool] = True  # whether some tests of a package can be run alone
    builds_projects: ClassVar[bool] = False  # `build` is called once for all packages of a project
    # Whether tests may run what a build left where git ignores it, which no digest of files tells.
    needs_inputs_to_share: ClassVar[bool] = False
    measures: ClassVar[bool] = False  # whether `covered` can say what tests covered

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether a folder is a project of this kind; `above`: a folder above it is one."""
        del folder, above
        return False

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return the packages of a project, with their tests if they are known before a build.

        Raises:
            NotTestable: they cannot be found out.
        """
        raise NotImplementedError

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Build packages of one project, and set their `tests`.

        Raises:
            SuiteBuildFailed: none of them could be built. If only some could not, their `problem`
                is set instead.
        """

    def run(self, job: SuiteJob) -> None:
        """Run the tests of a job, by `job.start`, and tell `job.report` what they do."""
        raise NotImplementedError

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files that the tests of a project covered, by absolute paths, in lines.

        Files of tests are left out. It is asked once, when all tests have ended.

        Raises:
            NotTestable: what was measured cannot be read; ScriptFailed: by a program.
        """
        del project, tools
        return {}

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return rows of `evidence` (kind, subject) that the results of a project rest on, too.

        These are the programs that run the tests, and what is installed for them.
        """
        del project, tools
        return []

    def identity(self, project: SuiteProject, tools: Tools) -> str:
        """Return a text that decides the results, too, such as the command."""
        del project, tools
        return ""
