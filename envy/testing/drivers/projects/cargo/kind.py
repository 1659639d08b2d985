"""The kind `cargo`: tests of Rust workspaces, built by cargo and run binary by binary.

Guarantees
  A test that ends its process has failed, whatever the exit code; the others have their own result.
  Tests of one binary run one after another, so that output and time belong to exactly one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.native.sources import package_name
from envy.testing.drivers.projects.cargo.calls import Cargo, complaint, find_cargo, text_of
from envy.testing.drivers.projects.cargo.coverage import (
    covered_by_cargo,
    find_llvm_tools,
)
from envy.testing.drivers.projects.cargo.doctests import doc_selection
from envy.testing.drivers.projects.cargo.instrumenting import listing_variables, run_variables
from envy.testing.drivers.projects.cargo.libtest import LibtestFraming, LibtestLog, parse_list
from envy.testing.drivers.projects.cargo.manifests import (
    is_own_project,
    local_folders,
    workspace_files,
)
from envy.testing.drivers.projects.cargo.messages import (
    CargoBuild,
    CargoMember,
    CargoTarget,
    CargoWorkspace,
)
from envy.testing.drivers.projects.cargo.surroundings import (
    configuration_files,
    configured_variables,
    read_configurations,
    runner_of,
    test_variables,
    toolchain_files,
)
from envy.testing.drivers.projects.inputs import TREE, path_rows
from envy.testing.drivers.projects.job import SuiteJob, failure_of
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import raw_name, test_name
from envy.testing.drivers.projects.project import Folder, ProjectTests, SuiteProject, Tools
from envy.testing.drivers.projects.serial import ResultFile, SerialProcess, in_groups
from envy.testing.evidence import FILE, LISTING

_PREFIX = "prefix"  # of the names of documentation tests, which is left out
OWN_MAIN = "main"  # the only test of a binary without a harness


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """One target of one member."""

    member: CargoMember
    target: CargoTarget

    @property
    def key(self) -> tuple[str, str, str]:
        """What cargo's messages name the target by."""
        kind = "lib" if self.target.kind == "doc" else self.target.kind
        return self.member.identity, kind, self.target.name


@dataclass(slots=True, kw_only=True)
class _Built:
    """A project whose tests were built in a session."""

    scratch: Path  # of the session
    cargo: Cargo
    workspace: CargoWorkspace
    build: CargoBuild
    said: str
    variables: dict[str, str] = field(default_factory=dict)  # that its configuration sets
    runner: list[str] = field(default_factory=list)
    sysroot: str = ""
    llvm: tuple[str, str] = ("", "")  # the programs that read coverage
    packages: dict[str, _Package] = field(default_factory=dict)  # by the name of the package


class CargoKind(TestKind):
    """Packages are the targets of a workspace's members, and their documentation tests."""

    name = "cargo"
    project_files = frozenset({"Cargo.toml"})
    lock_files = ("Cargo.lock",)
    builds_projects = True
    measures = True

    def __init__(self) -> None:
        self._built: dict[Path, _Built] = {}  # by the project's folder

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether a folder is a workspace, or a package that is none's member."""
        return is_own_project(folder, above=above)

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return the programs, cargo's configuration, and packages outside the project."""
        environment = tools.environment_of(project)
        path = environment.get("PATH", "")
        rows = [row for name in ("cargo", "rustc") for row in path_rows(name, path, project.folder)]
        settings = [*map(str, configuration_files(project.directory, environment))]
        files = [
            *settings,
            *workspace_files(project.folder),
            *toolchain_files(project.directory, environment),
        ]
        rows += [(FILE, name) for name in files]
        home = environment.get("RUSTUP_HOME") or f"{environment.get('HOME', '')}/.rustup"
        rows += [(LISTING, f"{home}/toolchains"), (LISTING, f"{home}/update-hashes")]
        return [*rows, *((TREE, folder) for folder in local_folders(project.folder, settings))]

    # -- building --------------------------------------------------------------------------------

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Build the project, and list the tests of its binaries."""
        built = self._build(project, tools)
        found = []
        for name, package in built.packages.items():
            tests = ProjectTests(project=project, directory=package.member.folder, name=name)
            self._take_outcome(tests, built)
            is_doc = package.target.kind == "doc"
            if tests.tests or (tests.problem and not is_doc):  # a library's problem is told once
                found.append(tests)
        return found

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Build the project, unless its tests were listed in this session."""
        project = packages[0].project
        built = self._built.get(project.directory)
        if built is None or built.scratch != tools.scratch:
            built = self._build(project, tools)
            for tests in packages:
                self._take_outcome(tests, built)

    def _build(self, project: SuiteProject, tools: Tools) -> _Built:
        cargo = find_cargo(project, tools)
        workspace = cargo.workspace()
        members = [
            member
            for member in workspace.members
            if member.folder.is_relative_to(project.directory)
        ]
        host, sysroot = cargo.host_and_sysroot()
        measures = tools.coverage is not None
        llvm = find_llvm_tools(cargo, host, sysroot) if measures else ("", "")
        words = [word for member in members for word in ("-p", member.name)]
        build, said = cargo.build(workspace, [*words, *project.settings.args])
        _build_others(cargo, workspace, members, build)
        environment = tools.environment_of(project)
        found = read_configurations(configuration_files(workspace.root, environment))
        built = _Built(
            scratch=tools.scratch,
            cargo=cargo,
            workspace=workspace,
            build=build,
            said=said,
            variables=configured_variables(found, environment),
            runner=runner_of(found, host, environment),
            sysroot=sysroot,
            llvm=llvm,
            packages={
                f"{package_name(member.folder, tools.root)}{target.label}": _Package(
                    member=member, target=target
                )
                for member in members
                for target in member.targets
            },
        )
        self._built[project.directory] = built
        return built

    def _take_outcome(self, tests: ProjectTests, built: _Built) -> None:
        """Set the tests of a package, or why they were not built."""
        package = built.packages.get(tests.name)
        if package is None:
            tests.problem = f"{tests.name} is no longer a target of Cargo.toml"
            return
        is_doc = package.target.kind == "doc"
        build = built.build
        if not is_doc and package.key not in build.executables:
            # Without an error it is a target whose `required-features` are not enabled.
            tests.problem = "" if build.succeeded else _problem_of(package, built)
        elif is_doc and not build.succeeded and package.key not in build.executables:
            tests.problem = "its library was not built"
        elif not package.target.has_harness:
            tests.tests = (OWN_MAIN,)
        else:
            _list(tests, package, built)

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files of the project that its tests covered."""
        built = self._built[project.directory]
        binaries = [path for path in built.build.executables.values() if path.is_file()]
        return covered_by_cargo(project, tools, built.llvm, binaries)

    # -- running ---------------------------------------------------------------------------------

    def run(self, job: SuiteJob) -> None:
        """Run tests of a binary in one process, or in several if their names are too long."""
        built = self._built[job.package.project.directory]
        package = built.packages[job.package.name]
        argv, folder, environment = _command(package, built)
        if job.tools.coverage is not None:
            environment |= run_variables(job.package.project, job.tools)
        if not package.target.has_harness:
            _run_by_exit_code(job, argv, folder, environment)
            return
        is_doc = package.target.kind == "doc"
        prefix = job.package.data.get(_PREFIX, "")
        every = [prefix + raw_name(name) for name in job.package.tests]
        for group in in_groups([prefix + raw_name(name) for name in job.tests]):
            names, selecting = group, [] if len(group) == len(every) else ["--exact", *group]
            if is_doc:
                selecting, names = doc_selection(group, every)
                if any(test_name(name[len(prefix) :]) in job.report.ended for name in names):
                    job.fail("not run", f"rustdoc cannot select {group[0]} alone")
                    return
            _run_harness(job, names, [*argv, *selecting], folder, environment, prefix=prefix)
            if job.crashed or job.must_stop():
                return


def _build_others(
    cargo: Cargo, workspace: CargoWorkspace, members: Sequence[CargoMember], build: CargoBuild
) -> None:
    """Build what cargo has not come to, because after an error it starts no other compilation."""
    for member in members if build.failed else ():
        packages = (_Package(member=member, target=target) for target in member.targets)
        words = []
        for package in packages:
            target = package.target
            if target.kind == "doc" or package.key in build.failed | set(build.executables):
                continue
            words += ["--lib"] if target.kind == "lib" else [f"--{target.kind}", target.name]
        if words:
            other, _ = cargo.build(
                workspace, ["-p", member.name, *words, *cargo.project.settings.args]
            )  # fmt: skip
            build.add(other)


def _run_harness(
    job: SuiteJob, names: Sequence[str], argv: Sequence[str], folder: Path,
    environment: dict[str, str], *, prefix: str,
) -> None:  # fmt: skip
    log = LibtestLog(names)
    results = ResultFile(job.tools.scratch, log.feed)
    process = SerialProcess(
        job.report,
        names,
        framing=LibtestFraming(after_cargo="--doc" in argv),
        read=results.read,
        shown=lambda name: test_name(name[len(prefix) :]),
    )
    words = ["--test-threads=1", "--nocapture", "--color=never", f"--logfile={results.path}"]
    try:
        job.start(
            [argv[0], *argv[1:], *words],
            cwd=folder,
            environment=environment,
            on_output=process.feed,
            on_end=process.finish,
        )
    finally:
        results.close()


def _run_by_exit_code(
    job: SuiteJob, argv: Sequence[str], folder: Path, environment: dict[str, str]
) -> None:
    """Run a binary without a harness, which is one test."""
    job.report.begin(OWN_MAIN)
    completed = job.start(argv, cwd=folder, environment=environment, ends_running=False)
    if OWN_MAIN not in job.report.ended:
        reason = failure_of(completed)
        job.report.end(OWN_MAIN, "fail" if reason else "pass", reason=reason)


def _command(package: _Package, built: _Built) -> tuple[list[str], Path, dict[str, str]]:
    """Return how the binary of a package is started: its words, folder and variables."""
    member = package.member
    own = built.cargo.tools.environment_of(built.cargo.project)
    if package.target.kind == "doc":
        words = ["test", "--doc", "-p", member.name, *built.cargo.project.settings.args, "--"]
        quiet = {"CARGO_TERM_COLOR": "never", "CARGO_NET_OFFLINE": "true"}
        return [built.cargo.program, *words], member.folder, quiet
    executable = built.build.executables[package.key]
    variables = built.variables | test_variables(
        member,
        built.build,
        environment=own | built.variables,
        sysroot=built.sysroot,
        executable=executable,
    )
    return [*built.runner, str(executable)], member.folder, variables


def _list(tests: ProjectTests, package: _Package, built: _Built) -> None:
    argv, folder, variables = _command(package, built)
    cargo = built.cargo
    environment = cargo.tools.environment_of(cargo.project) | variables
    if cargo.tools.coverage is not None:
        environment |= listing_variables(cargo.project, cargo.tools)
    completed = built.cargo.tools.capture(
        [*argv, "--list", "--format", "terse"],
        cwd=folder,
        environment=environment,
        label="cargo",
        timeout=None if package.target.kind == "doc" else cargo.tools.listing_timeout,
    )
    if completed.timed_out:
        tests.problem = cargo.tools.too_slow(argv[-1])
        return
    if completed.exit_code:
        what = "the documentation tests" if package.target.kind == "doc" else argv[-1]
        tests.problem = f"the tests of {what} cannot be listed: {complaint(completed)}\n" + text_of(
            completed.stderr
        )
        return
    names = parse_list(text_of(completed.stdout))
    if package.target.kind == "doc":
        # Names begin with the path of their source from the workspace.
        prefix = os.path.relpath(package.member.folder, built.workspace.root) + "/src/"
        prefix = prefix.removeprefix("./")
        if all(name.startswith(prefix) for name in names):
            tests.data = {_PREFIX: prefix}
            names = [name[len(prefix) :] for name in names]
    tests.tests = tuple(map(test_name, names))


def _problem_of(package: _Package, built: _Built) -> str:
    """Return why a target was not built: its own errors, or those of what it is built from."""
    build = built.build
    own = build.messages.get(package.key) if package.key in build.failed else None
    if own:
        return "".join(own)
    if not build.failed:
        return built.said
    failed = sorted({f"{kind} {name}" for _, kind, name in build.failed})
    texts: Iterable[str] = (text for key in sorted(build.failed) for text in build.messages[key])
    return f"not built, because of errors in {', '.join(failed)}\n{''.join(texts)}"
