"""What the native driver knows of a package, beside what all drivers do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from envy.testing.drivers.native.build import BuildTask
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


def detail_of(run: PackageRun) -> NativePackage:
    """Return what is known of a package."""
    detail = run.package.detail
    assert isinstance(detail, NativePackage)
    return detail
