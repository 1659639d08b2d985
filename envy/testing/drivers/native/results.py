"""The results of native packages: their keys, and what they rest on.

No log tells what a C test reads. So a result rests on the whole environment, on all files below the
package's folder, and on the `inputs` that the manifest names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from envy.cache.names import ASSET, MARKER
from envy.testing.basis import Basis, Collector, walked
from envy.testing.consulted import Unkept
from envy.testing.drivers.native.build import BuildTask
from envy.testing.drivers.native.linked import not_alone
from envy.testing.drivers.native.toolchain import NativeToolchain
from envy.testing.drivers.native.units import DISPATCHER
from envy.testing.evidence import (
    FILE,
    FOLDER,
    LISTING,
    NAMES,
    REAL,
    VARIABLE,
    Fact,
)
from envy.testing.key_text import Parts
from envy.testing.package import PackageRun, RunSettings
from envy.testing.pattern_folders import add_pattern
from envy.testing.result_keys import parts_of_run, result_key
from envy.testing.shared.evidence import content_of
from envy.testing.shared.places import NamedPlaces, SharedKey, Unshared

_VERSION = "native-result-2"
MOST_FILES = 5_000  # below a package's folder
# Variables that a terminal or a shell sets anew, and that say nothing about a test.
_PASSING = frozenset(
    {
        *("_", "COLUMNS", "LINES", "LS_COLORS", "OLDPWD", "PWD", "SHLVL", "WINDOWID"),
        *("DBUS_SESSION_BUS_ADDRESS", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TMUX_PANE"),
    }
)


# What is shared, and with whom, says nothing about a test either.
_SHARING = ("ENVY_DEPOT", "ENVY_REMOTE")


def key_of(
    run: PackageRun, settings: RunSettings, environment: Mapping[str, str], *, count: int
) -> str:
    """Return the key of what is known before the tests of a package run."""
    parts = _parts_of(run, settings, environment, count=count)
    return result_key({**parts, "executable": run.key})


def shared_key_of(
    run: PackageRun,
    task: BuildTask,
    toolchain: NativeToolchain,
    settings: RunSettings,
    *,
    environment: Mapping[str, str],
    places: NamedPlaces,
    count: int,
) -> SharedKey:
    """Return what decides a result on any machine before anything is built.

    The contents of the sources, of what they include and of the libraries that are linked are part
    of what the result rests on.

    Raises:
        Unshared: what is linked is not known.
    """
    if task.linked.open_words:
        raise Unshared(f"nothing tells which files {task.linked.open_words[0]} links")
    leads_on = not_alone(task.linked.paths)
    if leads_on:
        raise Unshared(f"{leads_on} is linked, and may load other files")
    programs = [toolchain.program, *([toolchain.linker] if toolchain.linker else [])]
    parts = {
        **_parts_of(run, settings, environment, count=count),
        "programs": [f"{one} {content_of(os.path.realpath(one))}" for one in programs],
        "target": toolchain.target,
        "toolchain": f"{toolchain.name} {toolchain.version} {toolchain.coverage}",
        "sanitize": toolchain.sanitize,
        "units": [unit.source for unit in task.units],
        **{f"flags of {unit.source}": unit.flags for unit in task.units},
        "link": task.link_flags,
        "dispatcher": content_of(DISPATCHER),
    }
    return places.key(parts, toolchain=f"{toolchain.name} {toolchain.version or ''}".strip())


def _parts_of(
    run: PackageRun, settings: RunSettings, environment: Mapping[str, str], *, count: int
) -> Parts:
    return {
        **parts_of_run(run, settings, count=count),
        "version": _VERSION,
        "variables": [f"{name}={environment[name]}" for name in counting(environment)],
    }


def counting(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that a result rests on."""
    return sorted(
        name for name in environment if name not in _PASSING and not name.startswith(_SHARING)
    )


def consulted_by(
    directory: Path,
    task: BuildTask,
    folders: Iterable[str],
    inputs: Iterable[Path],
    *,
    since: int,
) -> list[Fact]:
    """Return the files below a package's folder, its inputs, and what its executable is made of.

    `folders` are those in which its includes are looked for.

    Raises:
        Unkept: There are too many, or one changed during the run.
    """
    rows = Collector({}, since)
    for state in task.states.values():
        for path, _ in state.files:
            rows.add(FILE, path)
    for path in task.linked.paths:
        rows.add(FILE, path)
    for folder in folders:
        rows.add(LISTING, folder)
    count = 0
    for folder, names in walked(str(directory), hidden=False):
        rows.add(FOLDER, folder)
        count += len(names)
        if count > MOST_FILES:
            raise Unkept(f"its folder has more than {MOST_FILES} files")
        for name in names:
            rows.add(FILE, f"{folder}/{name}")
    for given in inputs:
        if given.is_dir():
            rows.add_whole(str(given))
        else:
            rows.add(FILE, str(given))
    return rows.facts


def basis_of(
    toolchain: NativeToolchain,
    root: Path,
    patterns: Sequence[str],
    environment: Mapping[str, str],
    *,
    since: int,
) -> Basis:
    """Return what every native run rests on: variables, the compiler, and the folders searched."""
    rows = Collector(environment, since)
    trees: list[str] = []
    try:
        rows.add(NAMES, "")
        for name in counting(environment):
            rows.add(VARIABLE, name)
        for folder in (root, *root.parents):
            for name in ("go.mod", "go.work"):  # with these, a pattern may be one of Go, too
                rows.add(FILE, str(folder / name))
        _add_toolchain(rows, trees, toolchain, root, environment)
        for pattern in patterns:
            add_pattern(rows, root, pattern)
    except Unkept as error:
        return Basis(unkept=str(error))
    return Basis(facts=rows.facts, trees=trees)


def _add_toolchain(
    rows: Collector,
    trees: list[str],
    toolchain: NativeToolchain,
    root: Path,
    environment: Mapping[str, str],
) -> None:
    programs = [toolchain.program, *([toolchain.linker] if toolchain.linker else [])]
    for program in programs:
        rows.add(REAL, str(program))
        rows.add(FILE, os.path.realpath(program))
    if not toolchain.package:
        path = environment.get("PATH", "")
        # Whatever is found first decides, and so does that clang and llvm-link are not found.
        for name in ("clang", "llvm-link", "zig"):
            rows.add_program(name, path, str(root))
    marker = f"{toolchain.root.parent}/{MARKER}"
    if toolchain.root.name == ASSET and Path(marker).is_file():
        rows.add(FILE, marker)
    else:
        trees.append(str(toolchain.root))
