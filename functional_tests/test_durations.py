"""`envy test` with durations: parts of about equal time, and the history of tests."""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from project import Project
from test_json import SCHEMA, faults

COMMANDS = """-- @envy schema "1"
packages = {}
tests = {
  pytest = {},
  tap = { command = "printf '1..1\\nok 1 - a\\n'", format = "tap" },
}
"""
TESTS = "".join(f"def test_{n}(): pass\n" for n in range(8)) + "def test_bad(): assert 0\n"


class TimedProject(Project):
    """A project whose files were written some time ago, and a PATH with few programs."""

    def environment(self, extra=None):
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return {**super().environment(extra), "PATH": path, "ENVY_TEST_SETTLE": "0.01",
                **(extra or {})}  # fmt: skip

    def write(self, name, text, **options):
        path = super().write(name, text, **options)
        os.utime(path, (time.time() - 10,) * 2)
        return path

    def envy_test(self, *words, code=0, **options):
        return self.envy("test", *words, code=code, trace=False, **options)


@pytest.fixture
def timed(tmp_path):
    project = TimedProject(tmp_path / "project")
    project.write("envy.lua", COMMANDS)
    project.write("app/pytest.ini", "[pytest]\n")
    project.write("app/test_app.py", TESTS)
    return project


def see_history(timed):
    """Look at the history of the run before, which had nine tests of pytest and a command."""
    shown = timed.envy_test("--history", "--slowest", "2").out
    assert shown.startswith("slowest tests, by the median of up to 20 runs:\n  ")
    assert "  … and 7 more\nno test has become slower\nno test was flaky\n10 tests, " in shown
    document = json.loads(timed.envy_test("--history", "--json", "--filter", "test(*bad)").out)
    assert list(faults(document, SCHEMA["$defs"]["test_history"])) == []
    [row] = document["tests"]
    assert (row["test"], row["runs"], row["failed"]) == ("test_app.py::test_bad", 1, 1)
    assert "omit --list" in timed.envy_test("--history", "--list", code=2).err
    unknown = timed.envy_test("--history", "--filter", "test(x)", code=4).err
    assert "no run of these tests is known" in unknown


def test_parts_by_duration_are_the_whole(timed):
    """A run writes durations, by which parts of others are divided, and the history has it, too."""
    missing = timed.envy_test("--partition", "duration:1/2", "--durations", "t.json", code=2).err
    assert "cannot read durations from t.json: No such file" in missing
    assert "--save-durations t.json" in missing
    timed.envy_test("--save-durations", "t.json", code=1)
    path = timed.root / "t.json"
    known = json.loads(path.read_text())["packages"]
    assert sorted(known["app"]) == [f"test_app.py::test_{n}" for n in range(8)]
    assert list(known["tap"]) == [""]

    see_history(timed)

    known["app"] = {f"test_app.py::test_{n}": 10.0 - n for n in range(6)}  # others are new
    path.write_text(json.dumps({"format": "envy-durations-1", "packages": known}))
    listed = []
    for part in ("duration:1/2", "duration:2/2"):
        words = ("--partition", part, "--durations", "t.json")
        listed += timed.envy_test("app", "--list", *words, code=None).out.splitlines()
    tests = [f"test_{n}" for n in range(8)] + ["test_bad"]
    assert sorted(listed) == sorted(f"app.test_app.py::{name}" for name in tests)

    words = ("tap", "--partition", "duration:1/2", "--durations", "t.json")
    known = {"tap": {"": 3.0}}
    path.write_text(json.dumps({"format": "envy-durations-1", "packages": known}))
    first = timed.envy_test(*words).out
    assert "part 1 of 2: about 3.0s of 3.0s, by durations " in first
    known["longer"] = {"": 4.0}  # which takes the first part; the first run does not answer this
    path.write_text(json.dumps({"format": "envy-durations-1", "packages": known}))
    assert "no test is selected" in timed.envy_test(*words, code=4).err

    assert "needs --durations FILE" in timed.envy_test("--partition", "duration:1/2", code=2).err
    assert "needs --partition" in timed.envy_test("--durations", "t.json", code=2).err
    assert "omit --list" in timed.envy_test("--list", "--save-durations", "t.json", code=2).err
    nowhere = timed.envy_test("--save-durations", "no/t.json", code=2).err
    assert "there is no folder no" in nowhere
    other = timed.envy_test("--save-durations", "envy.lua", code=2).err
    assert "envy.lua has no durations that envy wrote" in other
    assert (timed.root / "envy.lua").read_text() == COMMANDS


def test_no_part_leaves_out_what_is_not_known_before(timed):
    """A project that cannot be listed fails each part; tests that only loading shows are in one."""
    timed.write("envy.lua", '-- @envy schema "1"\npackages = {}\n')
    timed.write("app/test_app.py", "import nothing_of_this_name\n")
    timed.write("recipes/tool.lua", 'identity = "local.tool@r1"\n')
    made = "for n = 1, 9 do _G['test_' .. n] = function(t) end end\n"
    timed.write("recipes/tool_test.lua", made)
    passed = 0
    for part in ("hash:1/2", "hash:2/2"):
        run = timed.envy_test("--partition", part, code=3)
        assert "nothing_of_this_name" in run.out
        passed += int(re.search(r"^(\d+) passed", run.out, re.MULTILINE)[1])
    assert passed == 9
