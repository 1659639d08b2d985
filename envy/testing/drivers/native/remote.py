"""Native test binaries on other machines: what they need there, and what they have told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.host.children import Children
from envy.host.process import Completed
from envy.sharing.actions import Executed
from envy.testing.drivers.native.one_process import SKIPPED
from envy.testing.package import PackageRun, RemoteInputs
from envy.testing.remote.inputs import StaysHere, files_below, folder_of, libraries_of
from envy.testing.remote.tests import RemotePackage, completed_of
from envy.testing.shared.places import NamedPlaces

_RESULTS = "envy-test-results"  # the file, beside the tests
_NONCE = re.compile(rb"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RemoteProcess:
    """How a process of another machine ended. `nonce` is "" if it has told nothing."""

    completed: Completed
    output: bytes
    results: bytes = b""
    nonce: str = ""


def remote_inputs(
    run: PackageRun,
    inputs: Sequence[Path],
    environment: Mapping[str, str],
    children: Children,
    places: NamedPlaces,
) -> RemoteInputs:
    """Return what the binary of a package needs: its folder, its inputs, and its libraries.

    Raises:
        StaysHere: it runs here.
    """
    if not inputs:
        raise StaysHere("no inputs are declared: `tests.native` names none for its folder")
    assert run.binary is not None
    folder = folder_of(run.package.directory, places)
    files = files_below([run.package.directory], places, hidden=False)
    files |= files_below(inputs, places)
    files |= libraries_of(run.binary, environment, children)
    return RemoteInputs(folder, files)


def execute(
    remote: RemotePackage,
    binary: Path,
    words: Sequence[str],
    *,
    seconds: float,
    of_each: float,
    reads: bool,
) -> RemoteProcess | None:
    """Run a test binary on another machine; None means that it has to run here.

    A test may take `of_each` seconds. Without `words`, the binary is a program of its own.
    """
    variable = f"@{round(of_each * 1000)}:{_RESULTS}"
    executed = remote.execute(
        words,
        str(binary),
        seconds=seconds,
        environment={"ENVY_TEST_RESULTS": variable} if words else {},
        outputs=[_RESULTS] if words else [],
        is_pass=(_is_pass if words else _has_passed) if reads else None,
        ends_itself=bool(words),
    )
    if executed is None:
        return None
    output = executed.stdout + executed.stderr
    completed = completed_of(executed)
    nonce, results = _told(executed)
    if nonce and f"\n{nonce} T\n".encode() in b"\n" + results:
        completed = replace(completed, timed_out=True)
    return RemoteProcess(completed, output, results, nonce)


def _told(executed: Executed) -> tuple[str, bytes]:
    """Return the nonce of a process and what it has told after that; "" if it told nothing."""
    first, _, results = executed.outputs.get(_RESULTS, b"").partition(b"\n")
    return (first.decode(), results) if _NONCE.fullmatch(first) else ("", b"")


def _is_pass(executed: Executed) -> bool:
    """Return whether all tests have passed or were skipped, up to the last."""
    nonce, results = _told(executed)
    if executed.exit_code or not nonce:
        return False
    lines = [line.split(" ") for line in results.decode("ascii", "replace").split("\n")]
    own = [words[1:] for words in lines if words[0] == nonce]
    ends = [words for words in own if words[:1] == ["E"]]
    return ["D"] in own and all(words[2:3] in (["0"], [str(SKIPPED)]) for words in ends)


def _has_passed(executed: Executed) -> bool:
    """Return whether a program of its own has passed, or was skipped."""
    return not executed.exit_code
