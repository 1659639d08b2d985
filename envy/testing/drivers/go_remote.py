"""Go test binaries on other machines: what they need there, and their command lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from envy.host.process import Completed, ProcessSpec, run
from envy.sharing.actions import Executed
from envy.testing.drivers.go_basis import OF_THE_RUNTIME, testdata_of
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_results import why_unkept
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.durations import go_duration
from envy.testing.package import PackageRun, RemoteInputs, RunSettings
from envy.testing.remote.inputs import StaysHere, files_below, folder_of, libraries_of
from envy.testing.remote.tests import RemotePackage, completed_of, limit_of
from envy.testing.shared.places import NamedPlaces

_TIMED_OUT = b"panic: test timed out after "
_PANICKED = 2  # the exit code
_WRITES = ("-test.outputdir=", "-test.timeout=", "-test.testlogfile=")


def remote_inputs(
    package_run: PackageRun,
    flags: GoFlags,
    settings: RunSettings,
    toolchain: GoToolchain,
    places: NamedPlaces,
) -> RemoteInputs:
    """Return what the binary of a package needs: its `testdata`, and the libraries it loads.

    Raises:
        StaysHere: it runs here.
    """
    why = why_unkept(flags, toolchain)
    if why:
        raise StaysHere(why)
    if not toolchain.is_native:
        raise StaysHere(f"its binary is for {toolchain.target}")
    package = package_run.package
    if len({settings.timeout_of(package.name, test) for test in package.tests}) > 1:
        raise StaysHere("`timeout` of tests.settings limits some of its tests")
    folder = folder_of(package.directory, places)
    tops = [Path(path) for path in testdata_of(package)]
    if not tops:
        raise StaysHere("no inputs are declared: there is no folder `testdata`")
    assert package_run.binary is not None
    files = files_below(tops, places)
    files |= libraries_of(package_run.binary, toolchain.environment, toolchain.children)
    return RemoteInputs(folder, files)


Feed = Callable[[bytes], None]
Start = Callable[[ProcessSpec, Feed, Sequence[str], int], Completed]


def start_here(spec: ProcessSpec, feed: Feed, tests: Sequence[str], attempt: int) -> Completed:
    """Run a process on this machine; its output is passed on as `spec` says."""
    del feed, tests, attempt
    return run(spec)


class RemoteStart:
    """Runs the processes of a package on another machine, as long as that can be reached."""

    def __init__(
        self, remote: RemotePackage, package: str, settings: RunSettings, ends_at: float | None
    ) -> None:
        self._remote = remote
        self._package = package
        self._settings = settings
        self._ends_at = ends_at

    @property
    def was_used(self) -> bool:
        """Whether a process ran there."""
        return self._remote.was_used

    def __call__(
        self, spec: ProcessSpec, feed: Feed, tests: Sequence[str], attempt: int
    ) -> Completed:
        """Run a process, and pass its output to `feed` when it has ended."""
        limits = [self._settings.timeout_of(self._package, name) for name in tests or [""]]
        seconds = limit_of(limits, self._ends_at)
        executed = self._remote.execute(
            list(_words(spec.argv, seconds)),
            spec.argv[0],
            seconds=seconds,
            environment=_variables(spec.environment),
            is_pass=None if attempt else _is_pass,
        )
        if executed is None:
            return self._remote.here(lambda: run(spec))
        # Both streams are one here. What a test that panics writes belongs to the last one.
        feed(executed.stdout)
        feed(executed.stderr)
        completed = completed_of(executed)
        if completed.exit_code == _PANICKED and _TIMED_OUT in executed.stderr:
            completed = replace(completed, timed_out=True)
        return completed


def _is_pass(executed: Executed) -> bool:
    """Return whether the testing package has come to its end, and said so last."""
    *_, last = executed.stdout.rstrip(b"\n").split(b"\n")
    return not executed.exit_code and last.lstrip(b"\x16") == b"PASS"


def _words(argv: Sequence[str], seconds: float) -> Iterator[str]:
    """Yield the words of a command line after the program, for a machine with other folders."""
    if seconds:
        yield f"-test.timeout={go_duration(seconds)}"
    for word in argv[1:]:
        if not word.startswith(_WRITES):
            yield word


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of tests on other machines: those that Go's runtime reads."""
    names = [name for name in OF_THE_RUNTIME if name not in {"GOROOT", "LD_LIBRARY_PATH"}]
    return {name: environment[name] for name in names if name in environment}
