"""The format of lcov's tracefiles, which most tools of coverage read and write."""

from __future__ import annotations

from collections.abc import Mapping

from envy.testing.coverage.model import FileCoverage, functions_of


class DamagedTrace(ValueError):
    """A text that is no tracefile."""


def lcov_of(files: Mapping[str, FileCoverage]) -> str:
    """Return a tracefile."""
    lines: list[str] = []
    for path, file in files.items():
        rows = file.lines()
        lines += ["TN:", f"SF:{path}"]
        functions = functions_of(file)
        lines += [f"FN:{line},{name}" for line, name, _ in functions]
        lines += [f"FNDA:{int(share.covered > 0)},{name}" for _, name, share in functions]
        lines += [f"DA:{line},{rows[line]}" for line in sorted(rows)]
        hit = sum(count > 0 for count in rows.values())
        lines += [f"LF:{len(rows)}", f"LH:{hit}", "end_of_record"]
    return "".join(f"{line}\n" for line in lines)


def read_lcov(text: str) -> dict[str, FileCoverage]:
    """Return the files of a tracefile, with a block for each line.

    Raises:
        DamagedTrace: a line is not what the format has there.
    """
    found: dict[str, FileCoverage] = {}
    file = FileCoverage()
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.partition(":")
        try:
            if word == "SF":
                file = found.setdefault(rest, FileCoverage())
            elif word == "DA":
                at, count = (int(part) for part in rest.split(",")[:2])
                file.add((at, 0, at, 0), 1, max(0, count))
            elif word == "FN":
                first, _, name = rest.partition(",")
                last, _, after = name.partition(",")  # newer ones have the last line, too
                file.functions[int(first)] = after if last.isdecimal() else name
        except ValueError as error:
            raise DamagedTrace(f"line {number} is no line of lcov: {line[:80]!r}") from error
    return found
