"""Finding packages with `go list`: their files, their imports and their tests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envy.errors import EnvyError, UsageError
from envy.suggest import nearest
from envy.testing.drivers.go_modules import used_folders
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.package import NothingMatched, TestPackage

_SOURCES = (
    *("GoFiles", "CgoFiles", "CFiles", "CXXFiles", "MFiles", "HFiles", "FFiles", "SFiles"),
    *("SwigFiles", "SwigCXXFiles", "SysoFiles", "EmbedFiles", "TestGoFiles", "XTestGoFiles"),
    *("TestEmbedFiles", "XTestEmbedFiles"),
)
EMBED_PATTERNS = ("EmbedPatterns", "TestEmbedPatterns", "XTestEmbedPatterns")
_FIELDS = [
    "ImportPath", "Name", "Dir", "ForTest", "Standard", "DepOnly", "Match", "Module", "Imports",
    "ImportMap", "Error", "Incomplete", "IgnoredGoFiles", "IgnoredOtherFiles",
    *EMBED_PATTERNS, *_SOURCES,
]  # fmt: skip
_TABLE = re.compile(
    r"var (tests|fuzzTargets|examples) = \[\]testing\.Internal\w+\{(.*?)\n\}", re.DOTALL
)
_ROW = re.compile(r'^\s*\{"([^"]+)"', re.MULTILINE)
_VERSION_ELEMENT = re.compile(r"v[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoPackage:
    """The Go driver's own data about a test package."""

    record: Mapping[str, Any]
    main: str  # the import path of the test's main package; "" without test files
    binary_name: str
    records: Mapping[str, Mapping[str, Any]]  # all listed packages, by import path
    is_sound: bool = True  # False if `go list` reports an error in it or in an import


def list_packages(
    toolchain: GoToolchain, patterns: Sequence[str], flags: Sequence[str]
) -> list[TestPackage]:
    """Return the packages that the patterns match, sorted by import path.

    Raises:
        UsageError: `go list` fails in this directory.
        NothingMatched: No package matches.
    """
    fields = "-json=" + ",".join(_FIELDS) if toolchain.version >= (1, 19) else "-json"
    words = ["list", "-e", "-deps", "-test", fields, *flags, "--", *patterns]
    completed = toolchain.call(words)
    complaints = completed.stderr.decode("utf-8", "replace").strip()
    try:
        records = {row["ImportPath"]: row for row in _objects(completed.stdout.decode())}
    except ValueError as error:
        raise UsageError(f"the output of go list cannot be parsed: {error}") from error
    matched = [row for row in records.values() if _is_matched(row)]
    if completed.exit_code and not matched:
        raise UsageError(*_complaint(complaints))
    if not matched or _are_all_missing(matched):
        raise _nothing(toolchain, patterns, flags, complaints, matched)
    unsound: dict[str, str] = {}
    for row in records.values():
        if row.get("Incomplete") or row.get("Error"):
            name = row.get("ForTest") or row["ImportPath"].removesuffix(".test")
            why = str((row.get("Error") or {}).get("Err", "")).strip()
            unsound[name] = unsound.get(name) or why
    packages = [_test_package(row, records, unsound) for row in matched]
    return sorted(packages, key=lambda package: package.name)


def folders_of(packages: Sequence[TestPackage]) -> dict[str, str]:
    """Return the folder of every listed package, by its import path."""
    detail = packages[0].detail if packages else None
    rows = detail.records.values() if isinstance(detail, GoPackage) else ()
    return {row["ImportPath"]: row["Dir"] for row in rows if row.get("Dir")}


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        row, end = decoder.raw_decode(text, position)
        yield row
        position = text.find("{", end)


def _is_matched(row: Mapping[str, Any]) -> bool:
    is_main = row.get("Name") == "main" and row["ImportPath"].endswith(".test")
    is_generated = is_main and not row.get("Match")
    return not row.get("DepOnly") and not row.get("ForTest") and not is_generated


def _test_package(
    row: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], unsound: Mapping[str, str]
) -> TestPackage:
    path = row["ImportPath"]
    main = f"{path}.test"
    has_tests = bool(row.get("TestGoFiles") or row.get("XTestGoFiles"))
    tests = _tests_of(records[main]) if has_tests and main in records else None
    problem = ""
    if path in unsound:
        problem = unsound[path] or "go list reports an error in what it imports"
    elif has_tests and tests is None:
        problem = "go list does not tell its tests"
    return TestPackage(
        name=path,
        directory=Path(row.get("Dir") or "."),
        driver="go",
        tests=tests or (),
        has_tests=has_tests,
        problem=problem,
        detail=GoPackage(
            record=row,
            main=main if main in records else "",
            binary_name=_binary_name(row),
            records=records,
            is_sound=path not in unsound,
        ),
    )


def _tests_of(main: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the tests, fuzz targets and examples in the generated main package of a test.

    None if one of its files cannot be read.
    """
    names: list[str] = []
    for file in main.get("GoFiles", ()):
        try:
            text = Path(main["Dir"], file).read_text(encoding="utf-8")
        except OSError:
            return None
        for table in _TABLE.finditer(text):
            names += _ROW.findall(table[2])
    return tuple(names)


def _binary_name(row: Mapping[str, Any]) -> str:
    """Return the name that `go test -c` gives to the binary of a package."""
    path = row["ImportPath"]
    if path == "command-line-arguments":
        return f"{row.get('Name', 'main')}.test"
    *before, last = path.split("/")
    if before and _VERSION_ELEMENT.fullmatch(last) and last not in {"v0", "v1"}:
        last = before[-1]
    return f"{last}.test"


def own_files(row: Mapping[str, Any]) -> list[str]:
    """Return every source file of a package, including its tests."""
    return [file for field in _SOURCES for file in row.get(field, ())]


def built_files(row: Mapping[str, Any]) -> list[str]:
    """Return the files that a listed package itself is compiled from.

    Its tests are compiled in packages of their own, which have them among their sources.
    """
    fields = (field for field in _SOURCES if "Test" not in field)
    return [file for field in fields for file in row.get(field, ())]


# -- errors ----------------------------------------------------------------------------------------


def _complaint(text: str) -> tuple[str]:
    lowered = text.lower()
    if "go.mod file not found" in lowered or "does not contain main module" in lowered:
        return (
            f"not in a Go module: {text}\n  hint: run in a folder below a go.mod, or create one",
        )
    return (text or "go list failed and gave no reason",)


def _are_all_missing(matched: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether all matches are names without a folder or a package."""
    return all(
        not row.get("Dir") and "import cycle" not in str(row.get("Error", "")) for row in matched
    )


def _nothing(
    toolchain: GoToolchain,
    patterns: Sequence[str],
    flags: Sequence[str],
    complaints: str,
    matched: Sequence[Mapping[str, Any]],
) -> EnvyError:
    reasons = [str(row["Error"].get("Err", "")).strip() for row in matched if row.get("Error")]
    text = "\n".join(filter(None, [*reasons, complaints]))
    if "go.mod file not found" in text or "does not contain main module" in text:
        return UsageError(*_complaint(text))
    missed = f"no package matches {' '.join(patterns)}" + (f"\n  {text}" if text else "")
    modules = _modules_below(toolchain) if "modules listed in go.work" in text else []
    if modules:
        hint = f"name modules of the workspace: envy test {' '.join(modules)}"
        return NothingMatched(missed, hint=hint)
    known = _known_names(toolchain, flags)
    near = {name for pattern in patterns if (name := _nearest(pattern, known))}
    hint = f"did you mean {', '.join(sorted(near))}?" if near else ""
    if not hint and known:
        hint = f"packages here: {', '.join(known[:8])}"
    return NothingMatched(missed, hint=hint)


def _modules_below(toolchain: GoToolchain) -> list[str]:
    """Return a pattern for each module of the workspace."""
    work = toolchain.variables.get("GOWORK", "")
    top = os.path.dirname(work)  # noqa: PTH120
    found = []
    for folder in used_folders(work) if work not in {"", "off"} else ():
        path = os.path.relpath(os.path.join(top, folder), toolchain.directory)  # noqa: PTH118
        prefix = "" if path.startswith("..") else "./"
        found.append("./..." if path == "." else f"{prefix}{path}/...")
    return found


def _known_names(toolchain: GoToolchain, flags: Sequence[str]) -> list[str]:
    completed = toolchain.call(["list", "-e", *flags, "./..."])
    return completed.stdout.decode("utf-8", "replace").split()


def _nearest(pattern: str, known: Iterable[str]) -> str | None:
    names = list(known)
    wanted = pattern.removeprefix("./").removesuffix("/...").strip("/")
    by_end = {name.rpartition("/")[2]: name for name in names}
    close = nearest(wanted, names) or nearest(wanted.rpartition("/")[2], by_end)
    return by_end.get(close, close) if close else None
