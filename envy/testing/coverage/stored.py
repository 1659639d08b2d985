"""Coverage as JSON: what `--coverage=json` writes, and what is merged from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.errors import UsageError
from envy.limits import TEST_RESULT
from envy.testing.coverage.model import FileCoverage, PackageCoverage, share_of_files

FORMAT = "envy-coverage-1"


def json_of(packages: Iterable[PackageCoverage]) -> str:
    """Return packages as JSON."""
    rows = [_row(package) for package in packages]
    return json.dumps({"format": FORMAT, "packages": rows}, ensure_ascii=False) + "\n"


def _row(package: PackageCoverage) -> dict[str, Any]:
    share = share_of_files(package.files.values())
    return {
        "name": package.name,
        "unit": package.unit,
        "covered": share.covered,
        "whole": share.whole,
        "files": [
            {
                "path": path,
                "blocks": [[*block, *row] for block, row in sorted(file.blocks.items())],
                "functions": [list(row) for row in sorted(file.functions.items())],
            }
            for path, file in sorted(package.files.items())
        ],
    }


def read_json(path: Path) -> list[PackageCoverage]:
    """Return the packages in a file.

    Raises:
        UsageError: it cannot be read, or is not such a file.
    """
    try:
        top = parse_json(read_plain(str(path), TEST_RESULT))
        if top["format"] != FORMAT:
            raise ValueError(top["format"])
        return [_package(row) for row in top["packages"]]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} has no coverage that envy wrote",
            hint="such a file is written by `envy test --coverage=json:FILE`",
        ) from error


def _package(row: Any) -> PackageCoverage:
    package = PackageCoverage(name=_text(row["name"]), unit=_text(row["unit"]))
    for part in row["files"]:
        file = package.files.setdefault(_text(part["path"]), FileCoverage())
        for first, start, last, end, weight, count in part["blocks"]:
            numbers = [_number(n) for n in (first, start, last, end, weight, count)]
            if numbers[2] - numbers[0] > _LONGEST:
                raise ValueError(last)
            file.add((numbers[0], numbers[1], numbers[2], numbers[3]), numbers[4], numbers[5])
        for line, name in part["functions"]:
            file.functions[_number(line)] = _text(name)
    return package


_LONGEST = 1_000_000  # lines of a block


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(value)
    return value
