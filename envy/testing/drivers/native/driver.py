"""The native driver: C and C++ tests of a folder, built into one executable by LLVM, and run.

Guarantees
  The sources of a folder and of its library are compiled once each, joined to one module, and
  generated to one object.
  What a build rests on is compared by content: a file that was only touched builds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import time

from envy.host.children import Children
from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes
from envy.testing.coverage.model import PackageCoverage
from envy.testing.drivers.native.advice import (
    build_output,
    could_run,
    extra_mains,
    hidden_tests,
    spelled,
)
from envy.testing.drivers.native.build import (
    EXECUTABLE,
    UNSETTLED,
    BuildFailed,
    BuildTask,
    NativeBuilder,
)
from envy.testing.drivers.native.changed import affected_packages
from envy.testing.drivers.native.coverage import Coverage
from envy.testing.drivers.native.libraries import NO_LIBRARIES, Libraries
from envy.testing.drivers.native.linked import linked_files
from envy.testing.drivers.native.package import NativePackage, detail_of, functions_of
from envy.testing.drivers.native.remote import remote_inputs
from envy.testing.drivers.native.results import basis_of, consulted_by, shared_key_of
from envy.testing.drivers.native.results import key_of as result_key_of
from envy.testing.drivers.native.runner import OWN_MAIN, NativeRunner
from envy.testing.drivers.native.sources import (
    SourceFunction,
    SourcePackage,
    find_main,
    find_packages,
    package_name,
    place_of,
    read_functions,
)
from envy.testing.drivers.native.store import Digests, NativeStore, key_of
from envy.testing.drivers.native.toolchain import NativeToolchain
from envy.testing.drivers.native.units import (
    DISPATCHER,
    RUNTIME,
    Unit,
    as_row,
    include_folders,
    known_state,
    make_unit,
)
from envy.testing.events import StreamEvent
from envy.testing.evidence import Fact
from envy.testing.package import (
    Emit,
    Known,
    NothingMatched,
    PackageRun,
    PackageVerdict,
    RemoteInputs,
    RunSettings,
    Selection,
    TestPackage,
)
from envy.testing.patterns import selected_tests
from envy.testing.remote.inputs import StaysHere
from envy.testing.remote.tests import RemoteTests, package_on
from envy.testing.shared.places import NamedPlaces, SharedKey

DRIVER_VERSION = "native-4"


class NativeDriver:
    """Finds, builds and runs native packages for one session."""

    name = "native"
    runs_more_than_tests = False

    def __init__(
        self, toolchain: NativeToolchain, settings: RunSettings, *,
        root: Path, store: NativeStore, scratch: Path, build_jobs: int, children: Children,
        environment: Mapping[str, str], count: int = 1, rebuild: bool = False,
        libraries: Libraries = NO_LIBRARIES, remote: RemoteTests | None = None,
    ) -> None:  # fmt: skip
        self._toolchain = toolchain
        self._settings = settings
        self._root = root
        self._store = store
        self._children = children
        self._environment = dict(environment)
        self._count = count
        self._rebuild = rebuild
        self._libraries = libraries
        self._remote = remote
        self._digests = Digests()
        self._builder = NativeBuilder(
            toolchain, store, self._digests,
            children=children, scratch=scratch, jobs=build_jobs, rebuild=rebuild,
        )  # fmt: skip
        self._coverage = (
            Coverage(toolchain, scratch, children, root) if toolchain.coverage else None
        )
        self.build_width = build_jobs
        self.ends_at: float | None = None
        self.on_built: Callable[[int], None] | None = None
        self.count_failed: Callable[[], int] | None = None

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages that the patterns match, sorted by name."""
        found = find_packages(self._root, patterns)
        if not found:
            raise NothingMatched(
                "no native tests match",
                hint="they are in files named *_test.c, *_test.cc, *_test.cpp or *_test.cxx",
            )
        return [self._package(source) for source in found]

    def _package(self, source: SourcePackage) -> TestPackage:
        name = package_name(source.directory, self._root)
        folder = "." if source.directory == self._root else name
        record_key = key_of(DRIVER_VERSION, self._toolchain.identity, str(source.directory))
        record = {} if self._rebuild else self._store.read_record(record_key)
        scans: dict[str, list[object]] = {}
        source, extra = self._libraries.apply(source)
        functions = {}
        for files, read in ((source.tests, read_functions), (source.library, find_main)):
            for file in files:
                path = source.directory / file
                digest = self._digests.of(str(path))
                functions[file] = functions_of(path, digest, record, scans, read)
        found = [f for name in source.tests for f in functions[name]]
        runnable = tuple(dict.fromkeys(f.name for f in found if could_run(f)))
        own_main = not runnable and any(f.name == OWN_MAIN for f in found)
        units = self._units(source, folder, functions, extra.flags)
        if not own_main:
            units.append(make_unit(DISPATCHER, str(self._root), self._toolchain, ["-O1", "-g0"]))
        task = BuildTask(
            name=name,
            units=units,
            test_sources=[spelled(folder, name) for name in source.tests],
            has_own_main=own_main,
            link_flags=extra.link,
            linked=linked_files([*extra.link, *self._toolchain.linker_words()], str(self._root)),
        )
        task.messages += extra.problems
        task.messages += extra_mains(folder, source, functions, own_main=own_main)
        detail = NativePackage(
            task=task,
            record_key=record_key,
            record=record,
            inputs=extra.inputs,
            scans=scans,
            warnings=hidden_tests(folder, source, functions),
        )
        known = record.get("tests")
        if isinstance(known, list) and record.get("scans") == scans:
            runnable = tuple(str(row[0]) for row in known) or runnable
        return TestPackage(
            name=name,
            directory=source.directory,
            driver=self.name,
            tests=(OWN_MAIN,) if own_main else runnable,
            is_provisional=True,  # a macro, or a header, may define others
            place=place_of(name, self._root),
            detail=detail,
        )

    def _units(
        self,
        source: SourcePackage,
        folder: str,
        functions: Mapping[str, Sequence[SourceFunction]],
        extra: Sequence[str],
    ) -> list[Unit]:
        units = []
        for name in (*source.library, *source.tests):
            flags = [f"-iquote{folder}", *extra, f"-I{RUNTIME}"]
            if name in source.library and functions[name]:
                # The program of this folder can be tested beside its own `main`.
                word = re.sub(r"\W", "_", name)
                flags.append(f"-Dmain=envy_main_of_{word}")
            units.append(make_unit(spelled(folder, name), str(self._root), self._toolchain, flags))
        return units

    # -- building ------------------------------------------------------------------------------

    def build_key(self, run: PackageRun) -> str:
        """Set the key of the executable and the kept executable, if all its sources are known."""
        detail = detail_of(run)
        task, record = detail.task, detail.record
        if task.messages:  # it cannot be built
            return ""
        rows = record.get("units")
        for unit in task.units:
            row = rows.get(unit.source) if isinstance(rows, dict) else None
            state = known_state(unit, row, self._digests, self._store)
            if state is not None:
                task.states[unit.source] = state
        if len(task.states) < len(task.units):
            return ""
        if record.get("is_program") is True and not task.has_own_main:
            task.become_program()
        run.key = task.key = self._builder.key(task)
        tests = record.get("tests")
        if record.get("key") == run.key and isinstance(tests, list):
            found = self._store.find(run.key, EXECUTABLE)
            if found is not None and found.stat().st_size == record.get("size"):
                run.binary, run.kept = found, True
                run.build_events += build_output(run.package.name, detail.warnings_if_tests())
                self._note_tests(run, tests)
        return run.key

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Return a batch for each package."""
        return [[run] for run in runs]

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build packages."""
        self._builder.ends_at = self.ends_at
        for run in batch:
            task = detail_of(run).task
            refusals = len(task.messages)
            try:
                if refusals:
                    raise BuildFailed("".join(task.messages))
                run.binary = self._builder.build(task)
            except BuildFailed as error:
                run.failed_build = run.package.name
                said = [*detail_of(run).warnings_if_tests(), error.message]
                run.build_events += build_output(run.package.name, said)
                run.build_events.append(
                    StreamEvent(action="build-fail", time=time(), import_path=run.package.name)
                )
                continue
            finally:
                run.seconds |= task.seconds
            run.key = task.key
            run.result_key = self.result_key(run)
            said = [*detail_of(run).warnings_if_tests(), *task.messages]
            run.build_events += build_output(run.package.name, said)
            self._note_tests(run, task.tests)
            self._write_record(run)

    def _note_tests(self, run: PackageRun, rows: Sequence[object]) -> None:
        """Replace the tests read from the sources by those that the compiler found."""
        names: tuple[str, ...] = (OWN_MAIN,)
        if not detail_of(run).task.has_own_main:
            names = tuple(str(row[0]) for row in rows if isinstance(row, list))
        run.package = replace(run.package, tests=names, is_provisional=False)

    def _write_record(self, run: PackageRun) -> None:
        detail = detail_of(run)
        task = detail.task
        keys = (task.key, *(state.key for state in task.states.values()))
        if any(key.startswith(UNSETTLED) for key in keys):
            return
        self._store.write_record(
            detail.record_key,
            {
                "key": task.key,
                "size": task.size,
                "tests": task.tests,
                "is_program": task.has_own_main,
                "units": {source: as_row(state) for source, state in task.states.items()},
                "scans": detail.scans,
            },
        )

    # -- running -------------------------------------------------------------------------------

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the selected tests of a package, in their order."""
        return selected_tests(run.package.tests, selection)

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a package."""
        environment = dict(self._environment)
        if self._coverage is not None:
            environment["LLVM_PROFILE_FILE"] = self._coverage.profile_of(run)
        remote = package_on(self._remote, run, emit)
        emit = emit if remote is None else remote.emit
        runner = NativeRunner(
            run,
            emit if self._coverage is None else self._coverage.reporting(run, emit),
            self._settings,
            environment=environment,
            children=self._children,
            count=self._count,
            ends_at=self.ends_at,
            has_own_main=detail_of(run).task.has_own_main,
            count_failed=self.count_failed or (lambda: 0),
            remote=remote,
        )
        verdict = runner.run(self.select(run, run.selection))
        run.unkept = run.unkept or runner.unkept
        run.ran_on = remote.ran_on if remote is not None else ""
        return verdict

    def remote_inputs(self, run: PackageRun, places: NamedPlaces) -> RemoteInputs:
        """Return what the executable of a package needs on another machine."""
        if self._coverage is not None:
            raise StaysHere("--coverage is given")
        inputs = detail_of(run).inputs
        return remote_inputs(run, inputs, self._environment, self._children, places)

    # -- results -------------------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that its tests run with."""
        return self._environment

    def result_key(self, run: PackageRun) -> str:
        """Return the key of everything known before the tests run; "" before the first build."""
        run.unkept = "--coverage is given" if self._coverage is not None else ""
        if run.unkept or not run.key:
            return ""
        return result_key_of(run, self._settings, self._environment, count=self._count)

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine before anything is built."""
        task = detail_of(run).task
        places = places.having({"<envy>": str(RUNTIME), "<toolchain>": str(self._toolchain.root)})
        return shared_key_of(
            run, task, self._toolchain, self._settings,
            environment=self._environment, places=places, count=self._count,
        )  # fmt: skip

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return the files that the tests may have read, and those they were built from."""
        detail = detail_of(run)
        folders = {name: None for unit in detail.task.units for name in include_folders(unit)}
        own = str(run.package.directory)  # is added with all that is in it
        return consulted_by(
            run.package.directory,
            detail.task,
            [folder for folder in folders if folder not in {own, str(RUNTIME)}],
            detail.inputs,
            since=since,
        )

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on, apart from what tests consult."""
        del packages
        return basis_of(self._toolchain, self._root, patterns, environment, since=since)

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why."""
        return affected_packages(runs, self._libraries, changes, known)

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return what the executables are built from, for explanations."""
        found = {}
        for package in packages:
            assert isinstance(package.detail, NativePackage)
            states = package.detail.task.states.values()
            files = dict(row for state in states for row in state.files)
            found[package.name] = BuildUnit(files=files)
        return found

    def unit_of(self, package: TestPackage) -> str:
        """Return the name of the unit that a package's executable is."""
        return package.name

    def covered(self) -> list[PackageCoverage]:
        """Return what the tests covered."""
        return self._coverage.packages if self._coverage is not None else []

    def finish(self) -> None:
        """Prune the store."""
        self._store.prune()

    def close(self) -> None:
        """End the compilers."""
        self._builder.close()
