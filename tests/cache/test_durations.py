"""The stored durations of packages."""

import json
import os
import threading

import pytest

from envy.cache.durations import (
    FORMAT,
    KEYS_KEPT,
    OTHERS_KEPT,
    PROJECTS_KEPT,
    Durations,
    Measured,
    durations_path,
)

OLD, NEW = "a" * 64, "b" * 64
TOOL = "local.tool@r1"


def durations_with(path, *rows, packages=()):
    durations = Durations(str(path))
    durations.learn(rows, packages or [row.package for row in rows])
    return durations


def test_measurements_are_recalled_by_the_next_run(tmp_path):
    """A package has seconds for each phase from fetch on, to the millisecond."""
    durations_with(tmp_path / "d" / "p.json", Measured(TOOL, OLD, [1.0004, 0, 2.5]))
    assert Durations(str(tmp_path / "d" / "p.json")).recall(TOOL, OLD) == [1.0, 0, 2.5]


def test_a_package_that_was_never_built_has_no_durations(tmp_path):
    """A package without a measurement has None, not a duration of zero."""
    path = tmp_path / "p.json"
    assert Durations(str(path)).recall(TOOL, OLD) is None
    durations_with(path, Measured("local.brief@r1", OLD, [0, 0, 0.0001]))
    assert Durations(str(path)).recall("local.brief@r1", OLD) == []
    assert Durations(str(path)).recall(TOOL, OLD) is None


def test_a_new_key_falls_back_to_the_last_one_of_the_package(tmp_path):
    """Without a measurement of the key, the package's last one counts."""
    path = tmp_path / "p.json"
    durations_with(path, Measured(TOOL, OLD, [1]))
    durations_with(path, Measured(TOOL, NEW, [3]))
    durations = Durations(str(path))
    assert [durations.recall(TOOL, key) for key in (OLD, NEW, "c" * 64)] == [[1], [3], [3]]


def test_a_new_variant_falls_back_to_another_one(tmp_path):
    """A new variant gets the last measurement among the package's other variants."""
    path = tmp_path / "p.json"
    durations_with(path, Measured(TOOL + '{a="1"}', OLD, [1]), Measured(TOOL + '{a="2"}', NEW, [2]))
    assert Durations(str(path)).recall(TOOL + '{a="3"}', "c" * 64) == [2]


def test_a_key_that_is_built_again_counts_for_half(tmp_path):
    """Old measurements count less with each run, and a single slow run does not decide."""
    path = tmp_path / "p.json"
    for seconds in ([8], [4], [0, 2]):
        durations_with(path, Measured(TOOL, OLD, seconds))
    assert Durations(str(path)).recall(TOOL, OLD) == [3, 1]


def test_a_package_keeps_a_few_keys(tmp_path):
    """Of a package's keys, only the last ones are kept."""
    path = tmp_path / "p.json"
    for number in range(10):
        durations_with(path, Measured(TOOL, f"{number:064d}"[::-1], [number]))
    [rows] = json.loads(path.read_text())["rows"].values()
    assert [row[2] for row in rows] == [[9], [8], [7]][:KEYS_KEPT]


def test_packages_that_left_the_graph_are_forgotten_eventually(tmp_path):
    """Packages of the graph are kept, and of the others those measured last."""
    path = tmp_path / "p.json"
    many = [Measured(f"local.n{number}@r1", OLD, [1]) for number in range(OTHERS_KEPT + 100)]
    durations_with(path, *many, packages=[TOOL])
    durations = durations_with(path, Measured(TOOL, OLD, [1]))
    assert durations.recall("local.n99@r1", OLD) is None
    assert durations.recall("local.n100@r1", OLD) == [1]
    assert len(json.loads(path.read_text())["rows"]) == OTHERS_KEPT + 1


def test_unused_projects_are_forgotten_eventually(tmp_path):
    """The number of files is bounded, including unfinished ones of killed processes."""
    for number in range(PROJECTS_KEPT + 10):
        path = tmp_path / f"{number}.json"
        path.write_text("{}")
        os.utime(path, (number, number))
    durations_with(tmp_path / "p.json", Measured(TOOL, OLD, [1]))
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == PROJECTS_KEPT
    assert "p.json" in names
    assert "10.json" not in names
    assert "11.json" in names


def test_each_project_has_a_file():
    """The file is named after the project's folder, whatever characters that contains."""
    names = {durations_path("/c", project) for project in ("/a", "/b", "/\udcff")}
    assert len(names) == 3
    assert all(name.startswith("/c/") for name in names)


ROWS = {TOOL: [["a" * 16, 1, [1]]]}
WRONG = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b"[]",
    b"null",
    b"{}",
    json.dumps({"format": FORMAT + 1, "run": 1, "rows": ROWS}).encode(),
    json.dumps({"format": FORMAT, "run": 1, "rows": [1]}).encode(),
    json.dumps({"format": FORMAT, "run": {}, "rows": ROWS}).encode(),
    b'{"format": 1, "run": Infinity, "rows": {}}',
    *(
        json.dumps({"format": FORMAT, "run": 1, "rows": {TOOL: row}}).encode()
        for row in (
            1,
            "x",
            {},
            [],
            [1],
            [[]],
            [["a", 1]],
            [["a" * 16, 1, 7]],
            [["a" * 16, 1, ["x"]]],
            [["a" * 16, 1, [-1]]],
            [["a" * 16, 1, [1e300]]],
            [["a" * 16, 1, [float("nan")]]],
            [["a" * 16, 1, [float("inf")]]],
        )
    ),
]


@pytest.mark.parametrize("content", WRONG)
def test_a_damaged_file_is_ignored_and_replaced(tmp_path, content):
    """A damaged file is ignored, and the next run finds what this one measured."""
    path = tmp_path / "p.json"
    path.write_bytes(content)
    assert Durations(str(path)).recall(TOOL, OLD) is None
    durations_with(path, Measured(TOOL, OLD, [1]))
    assert Durations(str(path)).recall(TOOL, OLD) == [1]


def test_a_failed_write_is_ignored(tmp_path):
    """A read-only cache, or a file instead of the folder, is not an error."""
    (tmp_path / "file").write_text("")
    durations = durations_with(tmp_path / "file" / "p.json", Measured(TOOL, OLD, [1]))
    assert durations.recall(TOOL, OLD) == [1]
    (tmp_path / "p.json").mkdir()
    durations_with(tmp_path / "p.json", Measured(TOOL, OLD, [1]))
    assert {path.name for path in tmp_path.iterdir()} == {"file", "p.json"}


def test_many_writers_leave_a_whole_file(tmp_path):
    """Of two runs that end together, the last write counts, and no other file is left."""
    path = tmp_path / "d" / "p.json"
    threads = [
        threading.Thread(target=durations_with, args=(path, Measured(TOOL, OLD, [number])))
        for number in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Durations(str(path)).recall(TOOL, OLD)
    assert [one.name for one in path.parent.iterdir()] == ["p.json"]
