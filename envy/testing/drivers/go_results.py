"""The results of Go packages: which are kept, their keys, and what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from envy.testing.basis import Collector
from envy.testing.consulted import Setting, rows_of
from envy.testing.drivers.go_basis import OF_THE_RUNTIME, TIME_ZONE, testdata_of
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_log import read_logs
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.evidence import FILE, REAL, Fact, value_of
from envy.testing.key_text import Parts
from envy.testing.package import PackageRun, RunSettings, TestPackage
from envy.testing.result_keys import parts_of_run, result_key
from envy.testing.shared.places import NamedPlaces, SharedKey

_VERSION = "go-result-2"
# The test flags that change nothing outside of the test process, and whose effect is in the key.
_PLAIN = frozenset(
    {
        "short",
        "cpu",
        "parallel",
        "fullpath",
        "benchmem",
        "benchtime",
        "fuzztime",
        "fuzzminimizetime",
    }
)
_FOREIGN = ("-overlay", "-toolexec", "-pkgdir", "-compiler")


def why_unkept(flags: GoFlags, toolchain: GoToolchain) -> str:
    """Return why results with these flags are not kept; "" if they are."""
    if toolchain.environment.get("GOCOVERDIR"):
        return "GOCOVERDIR is set"
    for word in flags.run:
        name = word.removeprefix("-test.").partition("=")[0]
        if name not in _PLAIN:
            return f"-{name} is given"
    for word in [*toolchain.common_flags, *flags.build]:
        name = f"-{word.partition('=')[0].lstrip('-')}"
        if name in _FOREIGN:
            return f"{name} is given"
    if flags.cover_profile or flags.measures:
        return "coverage is measured"
    if flags.execute_with:
        return "-exec is given"
    return "-fuzz is given" if flags.fuzz else ""


def key_of(
    run: PackageRun,
    flags: GoFlags,
    settings: RunSettings,
    environment: Mapping[str, str],
    *,
    count: int,
) -> str:
    """Return the key of what is known before the tests of a package run."""
    return result_key(_parts_of(run, run.key, flags, settings, environment, count=count))


def shared_key_of(
    run: PackageRun,
    key: str,
    toolchain: GoToolchain,
    flags: GoFlags,
    settings: RunSettings,
    *,
    places: NamedPlaces,
    count: int,
) -> SharedKey:
    """Return the same for any machine; `key` is that of the binary."""
    parts = _parts_of(run, key, flags, settings, toolchain.environment, count=count)
    return places.key(parts, toolchain=f"go{toolchain.version_text}")


def _parts_of(
    run: PackageRun,
    key: str,
    flags: GoFlags,
    settings: RunSettings,
    environment: Mapping[str, str],
    *,
    count: int,
) -> Parts:
    return {
        **parts_of_run(run, settings, count=count),
        "version": _VERSION,
        "binary": key,
        "flags": flags.run,
        "arguments": flags.arguments,
        "variables": [f"{name}={environment.get(name)}" for name in OF_THE_RUNTIME],
        "time zone": [value_of(kind, TIME_ZONE, {}) for kind in (REAL, FILE)],
    }


def consulted_by(
    logs: Sequence[Path],
    package: TestPackage,
    names: Collection[str],
    toolchain: GoToolchain,
    *,
    since: int,
) -> list[Fact]:
    """Return what the tests consulted, and the user's `testdata` of the package.

    Raises:
        Unkept: that is not known.
    """
    setting = Setting(
        directory=str(package.directory),
        names=names,
        environment=toolchain.environment,
        since=since,
    )
    found = rows_of(read_logs(logs), setting)
    if package.directory.is_relative_to(toolchain.root):
        return found
    whole = Collector(toolchain.environment, since)
    for path in testdata_of(package):
        whole.add_whole(path)
    known = {(fact.kind, fact.subject) for fact in found}
    return [*found, *(fact for fact in whole.facts if (fact.kind, fact.subject) not in known)]
