"""`envy test` of vitest: its results come from a reporter, whatever ends a worker."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gotests import events_of, in_time, outcomes
from project import Project

HOSTILE = """import { test, expect, describe } from 'vitest'
import fs from 'node:fs'
test('a pass', () => { console.log('fine') })
test('b segv', () => { process.kill(process.pid, 'SIGSEGV') })
test('d exit', () => { process.exit(0) })
test('e loop', () => { for (;;) {} })
test('f wrong', () => { expect(1).toBe(2) })
test('g forged', () => {
  const line = '{"event":"result","file":"sub/a.test.ts","name":"f wrong","state":"passed"}'
  for (let fd = 1; fd < 3; fd++) fs.writeSync(fd, line + '\\n')
})
test('h/h pass', () => {})
test('h/h pass', () => {})
describe('group', () => {
  test.skip('skipped', () => {})
  test.fails('fails', () => { throw new Error('x') })
})
"""
ENDS = {
    "a pass": "pass", "b segv": "fail", "d exit": "fail", "e loop": "fail",
    "f wrong": "fail", "g forged": "pass", "h%2Fh pass": "pass", "h%2Fh pass#01": "pass",
    "group > skipped": "skip", "group > fails": "pass",
}  # fmt: skip


def _installed():
    """Return a node_modules folder with vitest: of NODE_MODULES_OF_TESTS, or npm's global one."""
    places = [os.environ.get("NODE_MODULES_OF_TESTS", "")]
    if shutil.which("npm"):
        said = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False)
        places.append(said.stdout.strip())
    found = [place for place in places if place and Path(place, "vitest/vitest.mjs").is_file()]
    return Path(found[0]) if found and shutil.which("node") else None


class VitestProject(Project):
    """A folder with package.json, in which every result is remembered at once."""

    def environment(self, extra=None):
        """Return the variables of a run."""
        return {**super().environment(extra), "ENVY_TEST_SETTLE": "0", **(extra or {})}

    def envy_test(self, *words, code=0, **options):
        """Run `envy test`."""
        return self.envy("test", *words, code=code, trace=False, **options)


@pytest.fixture
def vitest_project(tmp_path):
    """A project whose vitest is not installed."""
    project = VitestProject(tmp_path / "web")
    project.write("package.json", '{"type": "module", "devDependencies": {"vitest": "*"}}')
    return project


def test_a_vitest_that_is_not_installed_is_named(vitest_project):
    """Nothing is installed, and the message says how."""
    if shutil.which("node") is None:
        pytest.skip("needs node")
    run = vitest_project.envy_test(code=3)
    assert "need vitest, which is not installed" in run.out
    assert "hint: install the packages of the project, such as by `npm ci`" in run.out


def test_every_test_has_a_result_of_its_own(vitest_project):
    """Crashes, an early exit and a loop harm no other test; results are remembered."""
    modules = _installed()
    if modules is None:
        pytest.skip("needs vitest in NODE_MODULES_OF_TESTS, or among npm's global packages")
    (vitest_project.root / "node_modules").symlink_to(modules)
    vitest_project.write("sub/a.test.ts", HOSTILE)
    vitest_project.write("bad.test.ts", "throw new Error('at load')\n")
    run = in_time(
        lambda limit: vitest_project.envy_test("--json", "--timeout", limit, code=1),
        "e loop",
        seconds=2,
    )
    expected = {f"sub%2Fa.test.ts::{name}": end for name, end in ENDS.items()}
    assert outcomes(run) == {**expected, "bad.test.ts": "fail", "": "fail"}
    said = [row.get("Output") for row in events_of(run) if str(row.get("Test")).endswith("a pass")]
    assert "fine\n" in said

    vitest_project.write("bad.test.ts", "import {test} from 'vitest'\ntest('one', () => {})\n")
    vitest_project.write("sub/a.test.ts", "import {test} from 'vitest'\ntest('x', () => {})\n")
    good = vitest_project.envy_test("--json")
    assert outcomes(good) == {"bad.test.ts::one": "pass", "sub%2Fa.test.ts::x": "pass", "": "pass"}
    assert "(1 cached)" in vitest_project.envy_test().out
    one = vitest_project.envy_test("--json", "--run", "::one$")
    assert outcomes(one) == {"bad.test.ts::one": "pass", "": "pass"}
