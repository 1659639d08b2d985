"""Coverage as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from envy.testing.coverage.model import (
    PackageCoverage,
    Share,
    functions_of,
    merged_files,
    share_of_files,
)


def total_of(packages: Sequence[PackageCoverage]) -> Share:
    """Return the share of everything; a file that several packages cover counts once."""
    return share_of_files(merged_files(packages).values())


def package_lines(packages: Sequence[PackageCoverage]) -> list[str]:
    """Return a line for each package, and one for the total."""
    lines = []
    for package in packages:
        share = share_of_files(package.files.values())
        said = f"{share} of {package.unit}" if share.whole else f"[no {package.unit}]"
        lines.append(f"coverage  {package.name}  {said}")
    units = " and ".join(sorted({package.unit for package in packages}))
    total = total_of(packages)
    lines.append(f"coverage  total  {total} of {units}" if total.whole else "coverage  nothing")
    return lines


def coverage_lines(packages: Sequence[PackageCoverage], formats: str) -> list[str]:
    """Return the lines to print: of packages, after those of functions if these are asked for."""
    lines = function_lines(packages) if "func" in formats.split(",") else []
    return [*lines, *package_lines(packages)]


def function_lines(packages: Sequence[PackageCoverage]) -> list[str]:
    """Return a line for each function, in the order of files and lines."""
    rows = [
        (f"{path}:{line}:", name, str(share))
        for path, file in merged_files(packages).items()
        for line, name, share in functions_of(file)
        if share.whole
    ]
    places = max((len(place) for place, _, _ in rows), default=0)
    names = max((len(name) for _, name, _ in rows), default=0)
    return [f"{place:{places}}  {name:{names}}  {share:>6}" for place, name, share in rows]


def missing_coverage(packages: Sequence[PackageCoverage], least: float) -> str:
    """Return why too little is covered, for `--min-coverage`; "" if it is enough."""
    total = total_of(packages)
    if not least or (total.whole and total.percent >= least):
        return ""
    if not total.whole:
        return "nothing was measured (--min-coverage)"
    return f"{total} is covered, and --min-coverage asks for {least:g}%"
