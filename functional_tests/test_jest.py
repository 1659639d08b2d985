"""`envy test` of jest: its results come from a runner in its process, whatever ends that."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gotests import events_of, in_time, outcomes
from project import Project

HOSTILE = """
const fs = require('fs')
test('a pass', () => { console.log('fine') })
test('b segv', () => { process.kill(process.pid, 'SIGSEGV') })
test('d exit', () => { process.exit(0) })
test('e loop', () => { for (;;) {} })
test('f wrong', () => { expect(1).toBe(2) })
test('g forged', () => {
  const line = '{"event":"end","file":"sub/a.test.js","name":"f wrong","outcome":"pass"}\\n{"ev'
  expect(process.env.ENVY_TEST_EVENTS).toBe(undefined)
  const given = /ENVY_TEST_EVENTS=(\\d+)/.exec(fs.readFileSync('/proc/self/environ', 'latin1'))
  for (const fd of [1, Number(given[1])]) fs.writeSync(fd, line)
  fs.writeSync = JSON.stringify = () => { throw new Error('replaced') }
})
test('h/h pass', () => {})
test('h/h pass', () => {})
describe('group', () => {
  test.skip('skipped', () => {})
  test.failing('fails', () => { throw new Error('x') })
})
"""
ENDS = {
    "a pass": "pass", "b segv": "fail", "d exit": "fail", "e loop": "fail",
    "f wrong": "fail", "g forged": "pass", "h%2Fh pass": "pass", "h%2Fh pass#01": "pass",
    "group > skipped": "skip", "group > fails": "pass",
}  # fmt: skip
MORE = """
jest.retryTimes(1)
let n = 0
test('second time', () => { if (n++ < 1) throw new Error('not yet') })
test('never', () => { throw null })
test.concurrent('one at a time', async () => {})
test('a/b', () => {})
test('a%2Fb', () => {})
describe('hooks', () => {
  beforeAll(() => { throw new Error('before all') })
  test('in', () => {})
})
"""
GOOD = """
let set = 0
describe('with', () => {
  beforeAll(() => { set = 1 })
  test('hook', () => { expect(set).toBe(1) })
})
test('without', () => { expect(set).toBe(Number(process.env.RAN_ALL)) })
"""


def _installed(folder):
    """Return a node_modules folder with jest: of NODE_MODULES_OF_TESTS, or npm's global one.

    `make soak` installs one, in this folder, if the registry of npm answers.
    """
    places = [os.environ.get("NODE_MODULES_OF_TESTS", "")]
    if shutil.which("npm"):
        said = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False)
        places.append(said.stdout.strip())
        if "ENVY_SOAK_EDITS" in os.environ:
            words = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), "jest"]
            subprocess.run(words, capture_output=True, check=False)
            places.append(str(folder / "node_modules"))
    found = [place for place in places if place and Path(place, "jest/package.json").is_file()]
    return Path(found[0]) if found and shutil.which("node") else None


class JestProject(Project):
    """A folder with package.json, in which every result is remembered at once."""

    def environment(self, extra=None):
        """Return the variables of a run."""
        return {**super().environment(extra), "ENVY_TEST_SETTLE": "0", **(extra or {})}

    def envy_test(self, *words, code=0, **options):
        """Run `envy test`."""
        return self.envy("test", *words, code=code, trace=False, **options)


@pytest.fixture
def jest_project(tmp_path):
    """A project whose jest is not installed."""
    project = JestProject(tmp_path / "web")
    project.write("package.json", '{"devDependencies": {"jest": "*"}}')
    return project


def test_a_jest_that_is_not_installed_or_too_old_is_named(jest_project):
    """Nothing is installed, and the message says how; a version is told by its number."""
    if shutil.which("node") is None:
        pytest.skip("needs node")
    run = jest_project.envy_test(code=3)
    assert "need jest, which is not installed" in run.out
    assert "hint: install the packages of the project, such as by `npm ci`" in run.out
    jest_project.write("node_modules/jest/package.json", '{"version": "27.5.1"}')
    assert "jest 27.5.1 of " in jest_project.envy_test(code=3).out


def test_every_test_of_jest_has_a_result_of_its_own(jest_project, tmp_path):
    """Crashes, an early exit and a loop harm no other test; results are remembered."""
    modules = _installed(tmp_path / "npm")
    if modules is None:
        pytest.skip("needs jest in NODE_MODULES_OF_TESTS, or among npm's global packages")
    (jest_project.root / "node_modules").symlink_to(modules)
    jest_project.write("sub/a.test.js", HOSTILE)
    jest_project.write("bad.test.js", "throw new Error('at load')\n")
    jest_project.write("more.test.js", MORE)
    run = in_time(
        lambda limit: jest_project.envy_test("--json", "--timeout", limit, code=1),
        "e loop",
        seconds=2,
    )
    expected = {f"sub%2Fa.test.js::{name}": end for name, end in ENDS.items()}
    more = {"second time": "pass", "never": "fail", "one at a time": "pass", "a%2Fb": "pass",
            "a%252Fb": "pass",
            "hooks > in": "fail"}  # fmt: skip
    expected |= {f"more.test.js::{name}": end for name, end in more.items()}
    assert outcomes(run) == {**expected, "bad.test.js": "fail", "": "fail"}
    said = "".join(row.get("Output", "") for row in events_of(run))
    for text in ("fine\n", "at load", "Expected: 2", "before all", "thrown: null"):
        assert text in said
    reasons = {str(row.get("Test"))[17:]: row["Reason"] for row in events_of(run)
               if row["Action"] == "fail" and row.get("Reason")}  # fmt: skip
    assert reasons.items() >= {"b segv": "signal SIGSEGV", "d exit": "exit 0",
                               "e loop": "timeout"}.items()  # fmt: skip

    (jest_project.root / "more.test.js").unlink()
    jest_project.write("bad.test.js", "test('one', () => {})\n")
    jest_project.write("sub/a.test.js", GOOD)
    good = jest_project.envy_test("--json", env={"RAN_ALL": "1"})
    names = {"bad.test.js::one", "sub%2Fa.test.js::with > hook", "sub%2Fa.test.js::without"}
    assert outcomes(good) == dict.fromkeys([*names, ""], "pass")
    assert "(1 cached)" in jest_project.envy_test(env={"RAN_ALL": "1"}).out
    words = ("--run", "without$", "--coverage")
    one = jest_project.envy_test("--json", *words, env={"RAN_ALL": "0"})
    assert outcomes(one) == {"sub%2Fa.test.js::without": "pass", "": "pass"}

    settings = {"devDependencies": {"jest": "*"}, "jest": {"testRunner": "./own.js"}}
    jest_project.write("package.json", json.dumps(settings))
    jest_project.write("own.js", "module.exports = () => {}\n")
    assert "envy test needs jest-circus" in jest_project.envy_test(code=3).out
