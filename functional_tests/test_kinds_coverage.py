"""Coverage of pytest, node and cargo in one report, and what the options have no effect on."""

import importlib.util
import re
import shutil
import subprocess

import pytest
from test_suites import SuiteProject

MANIFEST = """packages = {}
tests = { pytest = {}, node = {}, cargo = {}, e2e = { command = "exit 0", format = "exit" } }
"""
LIBRARY = """def used(x):
    if x:
        return 1
    return 2

def unused():
    return 3
"""
TESTS = """import lib, os
def test_one(): assert lib.used(1) == 1
def test_end(): os._exit(3)
def test_two(): assert lib.used(0) == 2
"""
MODULE = "export function f(x) {\n  if (x) {\n    return 1;\n  }\n  return 2;\n}\n"
NODE_TEST = "import test from 'node:test';\nimport { f } from '../m.mjs';\ntest('f', () => f(1));\n"


@pytest.fixture
def suites(tmp_path):
    return SuiteProject(tmp_path / "project")


def test_kinds_measure_with_the_tools_of_their_projects(suites):
    """pytest measures by coverage, each file of node by node itself; a command is named."""
    has_coverage = importlib.util.find_spec("coverage") is not None
    has_node = shutil.which("node", path=suites.environment()["PATH"]) is not None
    suites.write("envy.lua", MANIFEST)
    suites.write("py/pytest.ini", "[pytest]\n")
    suites.write("py/lib.py", LIBRARY)
    suites.write("py/test_x.py", TESTS)
    if has_node:
        suites.write("js/package.json", '{"scripts": {"test": "node --test"}}')
        suites.write("js/m.mjs", MODULE)
        suites.write("js/test/m.test.mjs", NODE_TEST)
    run = suites.envy_test("--coverage=func,lcov:out.info", "--timeout", "60s", code=None)
    assert "--coverage has no effect on tests of e2e\n" in run.out
    if not has_coverage:
        assert "--coverage needs the package coverage beside pytest" in run.out
        assert "hint: install it there: " in run.out
        pytest.skip("needs the package coverage")
    # The process that ended early has measured nothing; line 6 is the `def` of `unused`.
    assert "py/lib.py:6:  unused" in run.out
    assert "coverage  py  66.7% of lines\n" in run.out
    assert "SF:py/lib.py\n" in (suites.root / "out.info").read_text()
    assert "test_x.py" not in (suites.root / "out.info").read_text()
    if not has_node:
        pytest.skip("needs node")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if tuple(map(int, version.stdout[1:].split(".")[:2])) < (20, 11):
        assert "--coverage needs node 20.11 or later" in run.out
        pytest.skip("needs node 20.11")
    assert re.search("^coverage  js  [0-9.]+% of lines$", run.out, re.MULTILINE)
    assert "SF:js/m.mjs\n" in (suites.root / "out.info").read_text()
