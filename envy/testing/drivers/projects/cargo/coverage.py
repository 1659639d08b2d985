"""Coverage of Rust: `-C instrument-coverage`, read by the LLVM tools of the same toolchain."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.cargo.calls import Cargo
from envy.testing.drivers.projects.measuring import folder_of, read_traces
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools

_LLVM = re.compile(r"^LLVM version: (\d+)", re.MULTILINE)
_OF_TESTS = re.compile(r"(?:^|/)(?:tests|benches|examples|target)/")


def find_llvm_tools(cargo: Cargo, host: str, sysroot: str) -> tuple[str, str]:
    """Return llvm-profdata and llvm-cov of the toolchain, or of its LLVM version on PATH.

    Raises:
        NotTestable: they are missing.
    """
    folder = Path(sysroot, "lib", "rustlib", host, "bin")
    own = [folder / name for name in ("llvm-profdata", "llvm-cov")]
    if all(path.is_file() for path in own):
        return str(own[0]), str(own[1])
    version = _LLVM.search(cargo.version_of_rustc())
    number = version[1] if version is not None else ""
    names = [f"llvm-profdata-{number}", f"llvm-cov-{number}"]
    found = [cargo.tools.find_program(name, cargo.project) for name in names]
    if number and found[0] and found[1]:
        return found[0], found[1]
    raise NotTestable(
        f"--coverage needs the LLVM tools of the Rust in {sysroot}, and it has none",
        hint="rustup component add llvm-tools"
        + (f"; or install llvm-profdata-{number} and llvm-cov-{number}" if number else ""),
    )


def covered_by_cargo(
    project: SuiteProject, tools: Tools, programs: tuple[str, str], binaries: Sequence[Path]
) -> Mapping[str, FileCoverage]:
    """Return what the test binaries of a project covered.

    Raises:
        NotTestable: an LLVM tool failed; ScriptFailed: it cannot be run.
    """
    folder = folder_of(project, tools)
    raw = sorted(str(path) for path in folder.glob("*.profraw"))
    if not raw or not binaries:
        return {}
    names, merged = folder / "names", folder / "merged"
    names.write_text("\n".join(raw), encoding="utf-8", errors="surrogateescape")
    objects = [word for path in binaries for word in ("-object", os.fspath(path))][1:]
    for words in (
        [programs[0], "merge", "-sparse", f"--input-files={names}", "-o", str(merged)],
        [programs[1], "export", "-format=lcov", f"-instr-profile={merged}", *objects],
    ):
        completed = tools.capture(
            words,
            cwd=project.directory,
            environment=tools.environment_of(project),
            label=project.settings.name,
        )
        if completed.exit_code:
            said = completed.stderr.decode("utf-8", "replace").strip()
            raise NotTestable(f"{Path(words[0]).name} {words[1]} failed: {said}")
    (folder / "whole.info").write_bytes(completed.stdout)
    found = read_traces(
        project, tools, ending=".info", counts=lambda path: _OF_TESTS.search(path) is None
    )
    for file in found.values():
        file.functions = {line: rust_name(name) for line, name in file.functions.items()}
    return found


def rust_name(symbol: str) -> str:
    """Return the path that a symbol of Rust was made from; the symbol itself if it is not plain."""
    parts: list[str] = []
    if symbol.startswith("_ZN"):
        rest = symbol[3:]
        while match := re.match(r"(\d+)", rest):
            end = match.end() + int(match[1])
            parts.append(rest[match.end() : end])
            rest = rest[end:]
        parts = [part for part in parts if not re.fullmatch(r"h[0-9a-f]{16}", part)]
    elif symbol.startswith("_R"):
        rest = symbol
        while found := _last_identifier(rest):
            rest, name = found
            parts.insert(0, name)
    return "::".join(parts) or symbol


def _last_identifier(text: str) -> tuple[str, str] | None:
    """Return the text before the last identifier, which has its length in front, and its name."""
    text = re.sub(r"(?<=[^0-9a-zA-Z])s[0-9a-zA-Z]*_$|s_$", "", text)
    for at in range(len(text)):
        match = re.match(r"([1-9]\d*)(?:_(?=_))?(?=[A-Za-z_])", text[at:])
        starts = match is not None and (at == 0 or not text[at - 1].isdigit())
        if match and starts and len(text) - at - match.end() == int(match[1]):
            return text[:at], text[at + match.end() :]
    return None
