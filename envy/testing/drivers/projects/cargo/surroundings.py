"""What a test of Rust runs with when cargo starts it: variables, libraries, and a runner."""

from __future__ import annotations

import os
import platform
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from envy.testing.drivers.projects.cargo.messages import CargoBuild, CargoMember

_CONFIGURATIONS = ("config.toml", "config")  # below `.cargo`, and in CARGO_HOME


def configuration_files(folder: Path, environment: Mapping[str, str]) -> list[Path]:
    """Return where cargo looks for its configuration, the most important first."""
    home = environment.get("CARGO_HOME") or f"{environment.get('HOME', '/')}/.cargo"
    places = [one / ".cargo" for one in (folder, *folder.parents)]
    if Path(home) not in places:
        places.append(Path(home))
    return [place / name for place in places for name in _CONFIGURATIONS]


def toolchain_files(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the files by which rustup chooses a toolchain, and those that change with one."""
    home = environment.get("RUSTUP_HOME") or f"{environment.get('HOME', '/')}/.rustup"
    found = [f"{home}/settings.toml"]
    for one in (folder, *folder.parents):
        found += [f"{one}/rust-toolchain", f"{one}/rust-toolchain.toml"]
    hashes = Path(home, "update-hashes")
    found += map(str, sorted(hashes.iterdir()) if hashes.is_dir() else ())
    return found


def read_configurations(files: Sequence[Path]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the configurations that exist and can be read; cargo itself reports the others."""
    found: list[tuple[Path, Mapping[str, Any]]] = []
    for path in files:
        try:
            found.append((path, tomllib.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError):
            continue
    return found


def configured_variables(
    configurations: Sequence[tuple[Path, Mapping[str, Any]]], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of the tables `env`."""
    found: dict[str, str] = {}
    for path, table in reversed(configurations):
        rows = table.get("env")
        for name, value in rows.items() if isinstance(rows, dict) else ():
            row = value if isinstance(value, dict) else {"value": value}
            if name in environment and row.get("force") is not True:
                continue
            text = str(row.get("value", ""))
            if row.get("relative") is True:
                text = str(path.parent.parent / text)
            found[name] = text
    return found


def runner_of(
    configurations: Sequence[tuple[Path, Mapping[str, Any]]],
    host: str,
    environment: Mapping[str, str],
) -> list[str]:
    """Return the words before a test binary that `target.TRIPLE.runner` asks for."""
    target = environment.get("CARGO_BUILD_TARGET", "")
    for _, table in configurations if not target else ():
        build = table.get("build")
        found = build.get("target") if isinstance(build, dict) else None
        if isinstance(found, str):
            target = found
            break
    target = target or host
    name = f"CARGO_TARGET_{target.upper().replace('-', '_').replace('.', '_')}_RUNNER"
    if environment.get(name):
        return shlex.split(environment[name])
    for _, table in configurations:
        targets = table.get("target")
        row = targets.get(target) if isinstance(targets, dict) else None
        runner = row.get("runner") if isinstance(row, dict) else None
        if isinstance(runner, str):
            return shlex.split(runner)
        if isinstance(runner, list):
            return [str(word) for word in runner]
    return []


def test_variables(
    member: CargoMember,
    build: CargoBuild,
    *,
    environment: Mapping[str, str],
    sysroot: str,
    executable: Path,
) -> dict[str, str]:
    """Return the variables that cargo sets for the test binary of a member."""
    variables = {f"CARGO_PKG_{name}": text for name, text in member.fields.items()}
    variables["CARGO_MANIFEST_DIR"] = str(member.folder)
    variables["CARGO_MANIFEST_PATH"] = str(member.folder / "Cargo.toml")
    variables["PWD"] = str(member.folder)
    cargo = Path(sysroot, "bin", "cargo")
    if cargo.exists():
        variables["CARGO"] = str(cargo)
    name = "DYLD_FALLBACK_LIBRARY_PATH" if platform.system() == "Darwin" else "LD_LIBRARY_PATH"
    folders = list(_library_folders(build, executable, sysroot))
    if environment.get(name):
        folders.append(environment[name])
    variables[name] = os.pathsep.join(folders)
    return variables | build.variables.get(member.identity, {})


def _library_folders(build: CargoBuild, executable: Path, sysroot: str) -> Iterator[str]:
    output = executable.parent.parent  # target/debug
    for folder in dict.fromkeys(build.library_folders):
        if Path(folder).is_relative_to(output):
            yield folder
    yield str(output / "deps")
    yield str(output)
    yield from map(str, sorted(Path(sysroot, "lib", "rustlib").glob("*/lib")))
    yield str(Path(sysroot, "lib"))
