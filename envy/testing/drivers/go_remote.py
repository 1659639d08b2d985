"""Go test binaries on other machines: what they need there, and their command lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from envy.host.process import Completed, ProcessSpec
from envy.sharing.actions import Executed
from envy.testing.drivers.go_basis import OF_THE_RUNTIME, testdata_of
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_results import why_unkept
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.durations import go_duration
from envy.testing.package import PackageRun, RemoteInputs
from envy.testing.remote.inputs import StaysHere, files_below, folder_of, libraries_of
from envy.testing.remote.tests import RemotePackage, completed_of
from envy.testing.shared.places import NamedPlaces

_TIMED_OUT = b"panic: test timed out after "
_PANICKED = 2  # the exit code
_WRITES = ("-test.outputdir=", "-test.timeout=", "-test.testlogfile=")


def remote_inputs(
    run: PackageRun, flags: GoFlags, toolchain: GoToolchain, places: NamedPlaces
) -> RemoteInputs:
    """Return what the binary of a package needs: its `testdata`, and the libraries it loads.

    Raises:
        StaysHere: it runs here.
    """
    why = why_unkept(flags, toolchain)
    if why:
        raise StaysHere(why)
    folder = folder_of(run.package.directory, places)
    tops = [Path(path) for path in testdata_of(run.package)]
    if not tops:
        raise StaysHere("no inputs are declared: there is no folder `testdata`")
    assert run.binary is not None
    files = files_below(tops, places)
    files |= libraries_of(run.binary, toolchain.environment, toolchain.children)
    return RemoteInputs(folder, files)


def execute(
    remote: RemotePackage, spec: ProcessSpec, binary: str, seconds: float, *, reads: bool
) -> tuple[Completed, bytes] | None:
    """Run a test binary on another machine; return its end and its output.

    None means that it has to run here. `reads` allows a former success as the answer.
    """
    executed = remote.execute(
        list(_words(spec.argv, seconds)),
        binary,
        seconds=seconds,
        environment=_variables(spec.environment),
        is_pass=_is_pass if reads else None,
    )
    if executed is None:
        return None
    completed = completed_of(executed)
    if completed.exit_code == _PANICKED and _TIMED_OUT in executed.stderr:
        completed = replace(completed, timed_out=True)
    # Both streams are one here. What a test that panics writes belongs to the last one.
    return completed, executed.stdout + executed.stderr


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
