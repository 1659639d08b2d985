"""The tests of projects as they were last listed, so that they need not be listed again."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.limits import TEST_RESULT
from envy.testing.drivers.projects.project import ProjectTests, SuiteProject
from envy.testing.evidence import Fact, changes, decode_facts, encode_facts

_HOUR = 3600.0


class Listings:
    """A folder with a file for each state of a project. Without `reads`, nothing is found."""

    def __init__(self, root: Path, *, reads: bool = True, writes: bool = True) -> None:
        self.root = root
        self._reads = reads
        self._writes = writes

    def find(
        self, key: str, project: SuiteProject, environment: Mapping[str, str]
    ) -> list[ProjectTests] | None:
        """Return the packages of a project in the state with this key; None if it is not known."""
        if not self._reads:
            return None
        path = self.root / f"{key}.json"
        try:
            row = parse_json(read_plain(str(path), TEST_RESULT))
            facts = decode_facts(str(row["facts"]))
            if changes(facts, environment, settled=0)[0]:
                return None
            found = [_package(one, project) for one in row["packages"]]
            if found:
                found[0].rests = [(fact.kind, fact.subject) for fact in facts]
            if path.stat().st_mtime < time.time() - _HOUR:
                os.utime(path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # missing or damaged: listed again
        return found

    def keep(self, key: str, found: Sequence[ProjectTests], rests: Sequence[Fact]) -> None:
        """Keep the packages of a project; a folder that cannot be written costs time, no more."""
        if not self._writes or any(tests.detail is not None for tests in found):
            return
        rows = [
            {
                "directory": str(tests.directory),
                "tests": tests.tests,
                "unloaded": sorted(tests.unloaded),
                "open": tests.is_open,
                "name": tests.name,
                "data": dict(tests.data),
            }
            for tests in found
        ]
        with contextlib.suppress(OSError, ValueError):
            self.root.mkdir(parents=True, exist_ok=True)
            row = {"packages": rows, "facts": encode_facts(rests)}
            atomic_write(str(self.root / f"{key}.json"), json.dumps(row).encode("utf-8"))


def _package(row: dict[str, object], project: SuiteProject) -> ProjectTests:
    tests, unloaded, data = row["tests"], row["unloaded"], row["data"]
    if not (isinstance(tests, list) and isinstance(unloaded, list) and isinstance(data, dict)):
        raise TypeError("tests")
    return ProjectTests(
        project=project,
        directory=Path(str(row["directory"])),
        tests=tuple(str(name) for name in tests),
        unloaded=frozenset(map(str, unloaded)),
        is_open=bool(row["open"]),
        name=str(row["name"]),
        data={str(name): str(text) for name, text in data.items()},
    )
