"""The command line of the test binary of one Go package."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.package import PackageRun, RunSettings, Selection
from envy.testing.patterns import exactly

SKIPS = (1, 20)  # the first version whose test binaries have -test.skip
MARKS = (1, 20)  # the first version whose testing package marks its own lines


def argv_of(
    toolchain: GoToolchain,
    flags: GoFlags,
    settings: RunSettings,
    package_run: PackageRun,
    names: Sequence[str] | None,
    *,
    count: int,
    scratch: Callable[[str], Path],
) -> list[str]:
    """Return the words that run these top-level tests; None means all that are selected."""
    assert package_run.binary is not None
    words = [*shlex.split(flags.execute_with), str(package_run.binary)]
    words.append("-test.v=test2json" if toolchain.version >= MARKS else "-test.v=true")
    if toolchain.version >= (1, 16):
        words.append("-test.paniconexit0")
    words.append("-test.timeout=0")
    if count != 1:
        words.append(f"-test.count={count}")
    if settings.fail_fast:
        words.append("-test.failfast=true")
    words += flags.run
    words += _outputs(toolchain, flags, package_run.package.name, scratch)
    words += _selecting(toolchain, package_run.selection, names)
    return [*words, *flags.arguments]


def _selecting(
    toolchain: GoToolchain, selection: Selection, names: Sequence[str] | None
) -> list[str]:
    words = []
    if names is not None:
        words.append(f"-test.run={exactly(names, run=selection.run) if names else '^$'}")
    elif selection.run or selection.names is not None:
        words.append(f"-test.run={selection.run or '^$'}")
    # An older Go has no such flag; the driver has already removed the skipped tests.
    if selection.skip and toolchain.version >= SKIPS:
        words.append(f"-test.skip={selection.skip}")
    return words


def _outputs(
    toolchain: GoToolchain, flags: GoFlags, name: str, scratch: Callable[[str], Path]
) -> list[str]:
    words: list[str] = []
    if not any(word.startswith("-test.outputdir=") for word in flags.run):
        words.append(f"-test.outputdir={toolchain.directory}")
    if flags.cover_profile or flags.measures:
        words.append(f"-test.coverprofile={scratch('cover')}")
    if flags.fuzz:
        cache = Path(toolchain.variables["GOCACHE"], "fuzz", name)
        words += [f"-test.fuzz={flags.fuzz}", f"-test.fuzzcachedir={cache}"]
    return words
