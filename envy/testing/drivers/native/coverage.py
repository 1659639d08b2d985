"""The coverage of native tests, by LLVM's own tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from envy.errors import ScriptFailed
from envy.host.children import Children
from envy.host.process import ProcessSpec, run
from envy.testing.coverage.lcov import DamagedTrace, read_lcov
from envy.testing.coverage.model import FileCoverage, PackageCoverage, share_of_files
from envy.testing.drivers.native.toolchain import NativeToolchain
from envy.testing.events import StreamEvent
from envy.testing.package import Emit, PackageRun

_NOT_COUNTED = re.compile(r"(_test\.[a-z]+|dispatcher\.c|envy_test\.h)$")

_SYMBOL = re.compile(r"\b_Z\w+")
_AT_ONCE = 200  # symbols, which are at most some kilobytes each


def name_as_in_source(
    files: Iterable[FileCoverage], names_of: Callable[[Sequence[str]], list[str]]
) -> None:
    """Give functions of C++ the names of their source, as far as `names_of` tells those."""
    files = list(files)
    names = [name for file in files for name in file.functions.values()]
    symbols = sorted({symbol for name in names for symbol in _SYMBOL.findall(name)})
    known: dict[str, str] = {}
    for start in range(0, len(symbols), _AT_ONCE):
        some = symbols[start : start + _AT_ONCE]
        known |= dict(zip(some, names_of(some), strict=False))
    for file in files:
        for line, name in file.functions.items():
            file.functions[line] = _SYMBOL.sub(lambda m: known.get(m[0], m[0]), name)


class Coverage:
    """Collects the profiles of a session's processes, and reports each package's coverage."""

    def __init__(
        self, toolchain: NativeToolchain, scratch: Path, children: Children, root: Path
    ) -> None:
        self.packages: list[PackageCoverage] = []  # what has been measured
        self._root = root
        self._toolchain = toolchain
        self._scratch = scratch
        self._children = children

    def profile_of(self, package_run: PackageRun) -> str:
        """Return the pattern of the profile files of a package, one for each process."""
        return str(self._folder(package_run) / "%p.profraw")

    def reporting(self, package_run: PackageRun, emit: Emit) -> Callable[[StreamEvent], None]:
        """Return a function that passes on events, and adds the coverage before the last."""

        def pass_on(event: StreamEvent) -> None:
            if event.output_type == "frame" and not event.test and event.output:
                text = self._measure(package_run)
                emit(replace(event, output=f"coverage: {text}\n", output_type=""))
            emit(event)

        return pass_on

    def _folder(self, package_run: PackageRun) -> Path:
        return self._scratch / f"coverage-{package_run.key}"

    def _measure(self, package_run: PackageRun) -> str:
        folder = self._folder(package_run)
        raw = sorted(str(path) for path in folder.glob("*.profraw"))
        if not raw:
            return "[no test ended]"
        merged = folder / "merged"
        names = folder / "raw-files"
        names.write_text("\n".join(raw), encoding="utf-8")
        self._run("llvm-profdata", "merge", "-sparse", f"--input-files={names}", "-o",
                  str(merged))  # fmt: skip
        report = self._run("llvm-cov", "export", "-format=lcov", f"-instr-profile={merged}",
                           str(package_run.binary))  # fmt: skip
        try:
            found = read_lcov(report.decode("utf-8", "replace"))
        except DamagedTrace:
            return "[not measured]"
        files = {path: file for path, file in found.items() if not _NOT_COUNTED.search(path)}
        name_as_in_source(files.values(), self._names_of)
        root = f"{self._root}/"
        name = package_run.package.name
        own = {path.removeprefix(root): file for path, file in files.items()}
        self.packages.append(PackageCoverage(name=name, unit="lines", files=own))
        share = share_of_files(files.values())
        return f"{share} of lines" if share.whole else "[no lines]"

    def _names_of(self, symbols: Sequence[str]) -> list[str]:
        return self._run("llvm-cxxfilt", *symbols).decode("utf-8", "replace").splitlines()

    def _run(self, name: str, *words: str) -> bytes:
        assert self._toolchain.linker is not None
        tool = self._toolchain.linker.resolve().parent / name
        try:
            completed = run(
                ProcessSpec(
                    argv=[str(tool), *words],
                    command=name,
                    cwd=self._scratch,
                    environment=self._toolchain.environment,
                    children=self._children,
                    label=name,
                    capture=True,
                )
            )
        except ScriptFailed:
            return b""
        return completed.stdout
