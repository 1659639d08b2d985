"""The Go driver: finds packages with `go list`, builds with `go test -c`, and runs the binaries."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envy.errors import EnvyError, UsageError
from envy.host.process import ProcessSpec, run
from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes
from envy.testing.consulted import Unkept
from envy.testing.coverage.model import PackageCoverage
from envy.testing.digest_memo import DigestMemo
from envy.testing.drivers.go_argv import SKIPS
from envy.testing.drivers.go_basis import find_basis, units_of
from envy.testing.drivers.go_build import BinaryStore, build_batch, closure_of, divide, is_whole
from envy.testing.drivers.go_changes import affected_packages
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_keys import KeyMaker
from envy.testing.drivers.go_list import GoPackage, folders_of, list_packages
from envy.testing.drivers.go_profiles import COVERS_ALL, covered_in, joined_profiles
from envy.testing.drivers.go_remote import RemoteStart, remote_inputs, start_here
from envy.testing.drivers.go_results import consulted_by, key_of, shared_key_of, why_unkept
from envy.testing.drivers.go_run import PackageRunner
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.evidence import Fact
from envy.testing.package import (
    Emit,
    Known,
    PackageRun,
    PackageVerdict,
    RemoteInputs,
    RunSettings,
    Selection,
    TestPackage,
)
from envy.testing.patterns import select_top_level, split_alternatives
from envy.testing.remote.tests import RemoteTests, package_on
from envy.testing.shared.places import NamedPlaces, SharedKey


class GoDriver:
    """Finds, builds and runs Go packages for one session."""

    name = "go"

    def __init__(
        self,
        toolchain: GoToolchain,
        flags: GoFlags,
        settings: RunSettings,
        *,
        store: BinaryStore,
        scratch: Path,
        build_jobs: int,
        count: int,
        memo: DigestMemo,
        rebuild: bool = False,
        remote: RemoteTests | None = None,
    ) -> None:
        self._toolchain = toolchain
        self._flags = flags
        self._settings = settings
        self._store = store
        self._scratch = scratch
        self._build_jobs = build_jobs
        self._count = count
        self._rebuild = rebuild
        self._remote = remote
        self._memo = memo
        self._keys = KeyMaker(toolchain, flags.build, memo)
        self._shared_keys: KeyMaker | None = None
        self._numbers = itertools.count(1)
        self._profiles: list[Path] = []
        self._untested: list[str] = []  # packages without tests
        self._folders: dict[str, str] = {}  # of packages, by import path
        self._lock = threading.Lock()
        self._ran: dict[str, tuple[PackageRunner, list[str]]] = {}
        self._started: dict[str, RemoteStart] = {}  # that were sent elsewhere
        self.ends_at: float | None = None
        self.on_built: Callable[[int], None] | None = None
        self.count_failed: Callable[[], int] | None = None

    @property
    def build_width(self) -> int:
        """The number of concurrent calls: one that uses all jobs, or one per job for an old Go."""
        return 1 if self._toolchain.builds_many else self._build_jobs

    @property
    def runs_more_than_tests(self) -> bool:
        """Whether benchmarks or fuzzing run; `-run=^$ -bench=.` selects no tests, only these."""
        return self._flags.changes_set

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages that the patterns match, sorted by name."""
        packages = list_packages(self._toolchain, patterns, self._flags.listing)
        self._folders = folders_of(packages)
        if self._flags.single_package and len(packages) > 1:
            raise UsageError(
                f"{self._flags.single_package} works with one package only, and "
                f"{len(packages)} match",
                hint="name the package to run",
            )
        return packages

    def build_key(self, run: PackageRun) -> str:
        """Set and return the key of the binary, and use the kept binary with this key."""
        detail = run.package.detail
        assert isinstance(detail, GoPackage)
        run.key = self._keys.key(detail)
        if not run.package.has_tests:
            self._untested.append(run.package.name)
        if not self._rebuild:
            run.binary = self._store.find(run.key)
            if run.binary is not None and run.package.has_tests and not is_whole(run.binary):
                run.binary = None
            run.kept = run.binary is not None
        return run.key

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Divide packages into calls of `go test -c`."""
        return divide(runs, many=self._toolchain.builds_many)

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build a batch of packages."""
        build_batch(
            self._toolchain,
            self._store,
            batch,
            self._flags.build,
            jobs=self._build_jobs if self._toolchain.builds_many else 1,
            key_of=self._key_to_keep,
            ends_at=self.ends_at,
            on_built=self.on_built,
        )

    def _key_to_keep(self, run: PackageRun) -> str:
        """Return the key of a binary; one that nobody finds if its sources changed meanwhile."""
        if self._keys.are_unchanged(closure_of(run)):
            return run.key
        run.unkept = "a source changed while it was built"
        return os.urandom(16).hex()

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the selected tests of a package; runs the binary where only Go can tell."""
        names = run.package.tests
        if selection.names is not None:
            wanted = set(selection.names)
            names = tuple(name for name in names if name in wanted)
        if not selection.run and not selection.skip:
            return names
        self._check_skip(selection.skip)
        found = select_top_level(names, run=selection.run, skip=selection.skip)
        return found if found is not None else self._ask_binary(run, names, selection)

    def _check_skip(self, pattern: str) -> None:
        if self._toolchain.version < SKIPS and any(
            len(parts) > 1 for parts in split_alternatives(pattern)
        ):
            raise UsageError(
                f"--skip of subtests needs Go 1.20; this is Go {self._toolchain.version_text}",
                hint="skip whole tests with a pattern without a slash",
            )

    def _ask_binary(
        self, run: PackageRun, names: Sequence[str], selection: Selection
    ) -> tuple[str, ...]:
        kept = set(names)
        if run.binary is None or not names:
            return tuple(names)
        if selection.run:
            kept &= self._listed(
                run, "|".join(p[0] for p in split_alternatives(selection.run)), "--run"
            )
        if selection.skip:
            alone = [p[0] for p in split_alternatives(selection.skip) if len(p) == 1]
            if alone:
                kept -= self._listed(run, "|".join(alone), "--skip")
        return tuple(name for name in names if name in kept)

    def _listed(self, package_run: PackageRun, pattern: str, option: str) -> set[str]:
        completed = run(
            ProcessSpec(
                argv=[str(package_run.binary), f"-test.list={pattern}"],
                command=f"{package_run.package.name}.test -test.list",
                cwd=package_run.package.directory,
                environment=self._toolchain.environment,
                children=self._toolchain.children,
                label=package_run.package.name,
                capture=True,
                timeout=self._settings.timeout or None,
            )
        )
        if completed.exit_code:
            text = (completed.stderr or completed.stdout).decode("utf-8", "replace").strip()
            raise UsageError(f"{option}: {text}")
        return set(completed.stdout.decode("utf-8", "replace").splitlines())

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a package."""
        remote, start = package_on(self._remote, run, emit), None
        if remote is not None:
            start = RemoteStart(remote, run.package.name, self._settings, self.ends_at)
        runner = PackageRunner(
            self._toolchain,
            self._flags,
            self._settings,
            run,
            emit if remote is None else remote.emit,
            count=self._count,
            ends_at=self.ends_at,
            scratch=self._scratch_file,
            count_failed=self.count_failed or (lambda: 0),
            start=start or start_here,
        )
        if start is not None:
            self._started[run.package.name] = start
        names = os.listdir(run.package.directory)  # noqa: PTH208
        self._ran[run.package.name] = (runner, names)
        verdict = runner.run(self.select(run, run.selection))
        run.ran_on = remote.ran_on if remote is not None else ""
        return verdict

    def remote_inputs(self, run: PackageRun, places: NamedPlaces) -> RemoteInputs:
        """Return what the binary of a package needs on another machine."""
        return remote_inputs(run, self._flags, self._settings, self._toolchain, places)

    # -- results -------------------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that its tests run with."""
        return self._toolchain.environment

    def result_key(self, run: PackageRun) -> str:
        """Return the key of a package's result; "" if none may be kept."""
        run.unkept = why_unkept(self._flags, self._toolchain)
        if run.unkept or not run.package.has_tests:
            return ""
        return key_of(run, self._flags, self._settings, self.environment, count=self._count)

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine; its sources are in it."""
        detail = run.package.detail
        assert isinstance(detail, GoPackage)
        variables = self._toolchain.variables
        folders = {"<go>": str(self._toolchain.root), "<modules>": variables.get("GOMODCACHE", "")}
        places = places.having(folders)
        if self._shared_keys is None:
            self._shared_keys = KeyMaker(
                self._toolchain, self._flags.build, self._memo, places.text
            )
        key = self._shared_keys.key(detail)
        return shared_key_of(
            run,
            key,
            self._toolchain,
            self._flags,
            self._settings,
            places=places,
            count=self._count,
        )

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return what the tests of a package consulted, and the files in its `testdata`."""
        runner, names = self._ran[run.package.name]
        start = self._started.get(run.package.name)
        if start is not None and start.was_used:
            raise Unkept("it ran on a server")
        if runner.unkept:
            raise Unkept(runner.unkept)
        self._keys.check_settled(closure_of(run), since)
        return consulted_by(runner.logs, run.package, names, self._toolchain, since=since)

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on."""
        return find_basis(
            self._toolchain, packages, patterns, self._flags, environment, since=since
        )

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why."""
        return affected_packages(runs, changes, known, self._flags)

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return the user's packages, whose sources the binaries are built from."""
        return units_of(packages, self._keys.digest_of)

    def unit_of(self, package: TestPackage) -> str:
        """Return the import path of the main package of a package's tests."""
        assert isinstance(package.detail, GoPackage)
        return package.detail.main or package.name

    def _scratch_file(self, kind: str) -> Path:
        path = self._scratch / f"{next(self._numbers)}.{kind}"
        if kind == "cover":
            with self._lock:
                self._profiles.append(path)
        return path

    def finish(self) -> None:
        """Write the coverage profile of all packages, and prune the store."""
        self._store.prune()
        self._memo.save()
        profile = self._flags.profile_path(self._toolchain.directory)
        if profile is None:
            return
        self._cover_untested()
        paths = sorted(self._profiles, key=lambda path: int(path.stem))
        try:
            profile.write_text(joined_profiles(paths, self._flags), encoding="utf-8")
        except OSError as error:
            raise EnvyError(f"cannot write {profile}: {error.strerror}") from error

    def covered(self) -> list[PackageCoverage]:
        """Return what the tests covered, by the packages that the files belong to."""
        self._cover_untested()
        found: dict[str, PackageCoverage] = {}
        for path in self._profiles:
            if path.exists():
                text = path.read_text(encoding="utf-8", errors="replace")
                covered_in(text, self._folders, str(self._toolchain.directory), found)
        return list(found.values())

    def _cover_untested(self) -> None:
        """Let Go say what there is to cover in packages without tests, which have no binary."""
        toolchain = self._toolchain
        if not self._untested or toolchain.version < COVERS_ALL or toolchain.children.stopping:
            return
        path = self._scratch_file("cover")
        words = ["test", f"-coverprofile={path}", f"-p={self._build_jobs}", *self._flags.build]
        names, self._untested = sorted(self._untested), []
        toolchain.call([*words, *names])
