"""The kind `gtest`: programs written with GoogleTest, which the manifest names.

Guarantees
  A test that ends its process has failed, whatever the exit code; the others have their own result.
  Variables of the user's that change which tests run, or shard them, do not reach a program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.testing.drivers.native.sources import package_name
from envy.testing.drivers.projects.gtest.protocol import (
    GTestFraming,
    ResultStream,
    filter_of,
    is_disabled,
    parse_tests,
)
from envy.testing.drivers.projects.gtest.receiver import Receiver
from envy.testing.drivers.projects.inputs import program_rows
from envy.testing.drivers.projects.job import SuiteJob
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import raw_name, test_name
from envy.testing.drivers.projects.project import (
    NotTestable,
    ProjectTests,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.serial import SerialProcess, in_groups

_PROGRAM = "program"
_OWN = ("TESTBRIDGE_TEST_ONLY", "TEST_TOTAL_SHARDS", "TEST_SHARD_INDEX", "TEST_SHARD_STATUS_FILE",
        "XML_OUTPUT_FILE", "TEST_PREMATURE_EXIT_FILE")  # fmt: skip


class GTestKind(TestKind):
    """Packages are programs; tests are those that they list."""

    name = "gtest"
    needs_inputs_to_share = True

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return the programs."""
        del tools
        return [row for path in _programs(project) for row in program_rows(str(path))]

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """List the tests of each program.

        Raises:
            NotTestable: the manifest names no program that is there.
        """
        settings = project.settings
        if not settings.programs:
            raise NotTestable(
                f"tests.{settings.name} names no programs",
                hint='such as programs = { "build/*_tests" }, below its folder',
            )
        programs = _programs(project)
        if not programs:
            raise NotTestable(
                f"tests.{settings.name}: no program matches {', '.join(settings.programs)} below "
                f"{project.directory}",
                hint="build them first; envy test does not",
            )
        return [_listed(project, tools, path) for path in programs]

    def run(self, job: SuiteJob) -> None:
        """Run tests of a program in one process, or in several if their names are too long."""
        run_program(
            job,
            [str(job.package.project.directory / job.package.data[_PROGRAM])],
            folder=job.package.directory,
            variables={},
        )


def run_program(
    job: SuiteJob, argv: Sequence[str], *, folder: Path, variables: Mapping[str, str]
) -> None:  # fmt: skip
    """Run the tests of a job by a program."""
    job.environment = without_steering(job.environment)
    runnable = []
    for name in job.tests:
        if is_disabled(raw_name(name)):
            job.report.end(name, "skip", reason="disabled")
        else:
            runnable.append(raw_name(name))
    every = [name for name in map(raw_name, job.package.tests) if not is_disabled(name)]
    for names in in_groups(runnable):
        receiver = Receiver(ResultStream(names).feed)
        process = SerialProcess(
            job.report, names, framing=GTestFraming(), read=receiver.read
        )  # fmt: skip
        words = [f"--gtest_stream_result_to={receiver.address}", "--gtest_color=no"]
        words += ["--gtest_shuffle=0", "--gtest_repeat=1"]
        if len(names) < len(every):
            words.append(filter_of(names))
        try:
            job.start(
                [*argv, *job.tools.arguments, *words],
                cwd=folder,
                environment=variables,
                on_output=process.feed,
                on_end=process.finish,
            )
        finally:
            receiver.close()
        if job.crashed or job.must_stop():
            return


def _listed(project: SuiteProject, tools: Tools, path: Path) -> ProjectTests:
    relative = path.relative_to(project.directory).as_posix()
    tests = ProjectTests(
        project=project,
        directory=project.directory,
        name=package_name(path, tools.root),
        data={_PROGRAM: relative},
    )
    completed = tools.capture(
        [str(path), "--gtest_list_tests"],
        cwd=project.directory,
        environment=without_steering(tools.environment_of(project)),
        label="gtest",
        timeout=tools.listing_timeout,
    )
    if completed.timed_out:
        tests.problem = tools.too_slow(f"{relative} --gtest_list_tests")
        return tests
    names = parse_tests(completed.stdout.decode("utf-8", "replace"))
    if completed.exit_code or not names:
        said = (completed.stderr or completed.stdout).decode("utf-8", "replace").strip()
        how = f"ended with exit code {completed.exit_code}"
        tests.problem = (
            f"{relative} --gtest_list_tests {how if completed.exit_code else 'lists none'}"
        )
        tests.problem += f"\n{said[-2000:]}" if said else ""
        tests.problem += "\nhint: its main has to pass the arguments to testing::InitGoogleTest"
    tests.tests = tuple(map(test_name, names))
    return tests


def _programs(project: SuiteProject) -> list[Path]:
    """Return the programs that the patterns of the manifest match."""
    found: dict[Path, None] = {}
    for pattern in project.settings.programs:
        for path in sorted(project.directory.glob(pattern)):
            if path.is_file() and os.access(path, os.X_OK):
                found[path] = None
    return list(found)


def without_steering(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that select tests, or shard or write them."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("GTEST_") and name not in _OWN
    }
