"""What the native driver knows of a package, beside what all drivers do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envy.testing.drivers.native.build import BuildTask
from envy.testing.drivers.native.sources import SourceFunction
from envy.testing.package import PackageRun


@dataclass(slots=True, kw_only=True)
class NativePackage:
    """What the driver knows of a package."""

    task: BuildTask
    record_key: str
    record: dict[str, object]
    warnings: list[str] = field(default_factory=list)
    scans: dict[str, list[object]] = field(default_factory=dict)  # by source
    inputs: tuple[Path, ...] = ()  # that the manifest names

    def warnings_if_tests(self) -> list[str]:
        """Return the warnings about what is no test; a program may name its functions at will."""
        return [] if self.task.has_own_main else self.warnings


def detail_of(run: PackageRun) -> NativePackage:
    """Return what is known of a package."""
    detail = run.package.detail
    assert isinstance(detail, NativePackage)
    return detail


def functions_of(
    path: Path, digest: str, record: Mapping[str, object], scans: dict[str, list[object]],
    read: Callable[[str], list[SourceFunction]],
) -> list[SourceFunction]:  # fmt: skip
    """Return the functions of a source and note them in `scans`; read it only if it has changed.

    `record` is what was known of its package, and `digest` that of the source now.
    """
    earlier = record.get("scans")
    row = earlier.get(str(path)) if isinstance(earlier, dict) else None
    if isinstance(row, list) and row and row[0] == digest:
        scans[str(path)] = row
        with contextlib.suppress(TypeError, IndexError):  # a record of something else
            return [SourceFunction(*function) for function in row[1]]
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    functions = read(text)
    scans[str(path)] = [digest, [list(function) for function in functions]]
    return functions
