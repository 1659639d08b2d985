"""A repository in many languages that is edited at random, and a model of its verdicts.

Each part is a folder with one test, which fails if the sum of a source's value, a data file's, a
variable's and that of an optional file is 3 modulo 4; it may have a second file of tests.
"""

import json
import os
import sys
from pathlib import Path

from installed import works
from project import Project

SUM = {
    "go": """package gopart
import ("os"; "strconv"; "strings"; "testing")
func TestSum(t *testing.T) {
	text, _ := os.ReadFile("data.txt")
	data, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	given, _ := strconv.Atoi(os.Getenv("VALUE_go"))
	if (Value+data+given)%4 == 3 { t.Fatal("as the model says") }
}
""",
    "native": r"""#include <stdio.h>
#include <stdlib.h>
#include "value.h"
#if __has_include("plus.h")
#include "plus.h"
#else
#define PLUS 0
#endif
int test_sum(void) {
  int data = 0;
  FILE *file = fopen("data.txt", "r");
  if (file) { if (fscanf(file, "%d", &data) != 1) data = 0; fclose(file); }
  const char *given = getenv("VALUE_native");
  return (VALUE + PLUS + data + (given ? atoi(given) : 0)) % 4 == 3;
}
""",
    "recipe": """
function test_sum(t)
  local sum = require("value") + require("data") + tonumber(t.load().options.plus)
  t.ok(sum % 4 ~= 3, "as the model says")
end
""",
    "pytest": """
import os
from pathlib import Path
import value
def test_sum():
    data = Path(__file__).parent.parent / "data.txt"
    read = int(data.read_text() or 0) if data.exists() else 0
    assert (value.VALUE + read + int(os.environ.get("VALUE_pytest", 0))) % 4 != 3
""",
    "node": """
const fs = require('node:fs'), test = require('node:test'), path = require('node:path');
const value = require('../value.js');
test('sum', () => {
  const data = path.join(__dirname, '../data.txt');
  const read = fs.existsSync(data) ? Number(fs.readFileSync(data, 'utf8')) : 0;
  const sum = value + read + Number(process.env.VALUE_node ?? 0) + (globalThis.plus ?? 0);
  if (sum % 4 === 3) throw new Error('as the model says');
});
""",
    "cargo": """
fn number(text: Option<String>) -> u32 { text.map_or(0, |t| t.trim().parse().unwrap_or(0)) }
#[test] fn sum() {
    let data = number(std::fs::read_to_string("data.txt").ok());
    let given = number(std::env::var("VALUE_cargo").ok());
    assert_ne!((part::VALUE + data + given + number(std::env::var("PLUS").ok())) % 4, 3);
}
""",
    "command": """
data=$(cat data.txt 2>/dev/null); . ./value.sh; plus=0; test -f plus && plus=1
sum=$(( (VALUE + ${data:-0} + ${VALUE_command:-0} + plus) % 4 ))
echo 1..1; if test $sum = 3; then echo not ok; else echo ok; fi
""",
}
FOLDERS = {"go": "gopart", "native": "native", "recipe": "recipes", "pytest": "py", "node": "js",
           "cargo": "rust", "command": "cmd"}  # fmt: skip
TESTS = {"go": "sum_test.go", "native": "sum_test.c", "recipe": "local.x@r1_test.lua",
         "pytest": "tests/test_sum.py", "node": "test/sum.js", "cargo": "tests/sum.rs",
         "command": "e.sh"}  # fmt: skip
VALUES = {
    "go": ("value.go", "package gopart\nvar Value = {}\n"),
    "native": ("value.h", "#define VALUE {}\n"),
    "recipe": ("value.lua", "return {}\n"),
    "pytest": ("value.py", "VALUE = {}\n"),
    "node": ("value.js", "module.exports = {};\n"),
    "cargo": ("src/lib.rs", "pub const VALUE: u32 = {};\n"),
    "command": ("value.sh", "VALUE={}\n"),
}
PLUS = {  # a file that adds one if it is there
    "go": ("plus.go", "package gopart\nfunc init() { Value++ }\n"),
    "native": ("plus.h", "#define PLUS 1\n"),
    "recipe": ("plus.lua", "return 1\n"),
    "pytest": ("conftest.py", "import value\nvalue.VALUE += 1\n"),
    "cargo": (".cargo/config.toml", '[env]\nPLUS = "1"\n'),
    "command": ("plus", ""),
}
GO_TEST = """package gopart
import "testing"
func TestMore(t *testing.T) {{ if {} > 0 {{ t.Fatal(1) }} }}
"""
SECOND = {  # another file of tests, which passes or fails
    "go": ("more_test.go", GO_TEST),
    "native": ("more_test.c", "int test_more(void) {{ return {}; }}\n"),
    "pytest": ("tests/test_more.py", "def test_more(): assert not {}\n"),
    "node": ("test/more.js", "require('node:test')('more', () => {{ if ({}) throw 1; }});\n"),
    "cargo": ("tests/more.rs", "#[test] fn more() {{ assert_eq!({}, 0) }}\n"),
}  # fmt: skip
FIXED = {
    "go.mod": "module example.com/m\n\ngo 1.19\n",
    ".gitignore": "target/\n*.log\n",
    "py/pytest.ini": "[pytest]\npythonpath = .\n",
    "rust/Cargo.toml": '[package]\nname = "part"\nversion = "0.1.0"\nedition = "2021"\n',
    "rust/Cargo.lock": 'version = 3\n\n[[package]]\nname = "part"\nversion = "0.1.0"\n',
    "recipes/local.x@r1.lua": 'identity = "local.x@r1"\nlocal found, n = pcall(require, "plus")\n'
    "local plus = found and n or 0\n"
    'options = { plus = { type = "string", default = tostring(plus) } }\n'
    "install = function(ctx) ctx.mark_install_complete() end\n",
}
MANIFEST = """packages = { "local.x@r1" }
tests = {
  node = { folder = "js" }, cargo = { folder = "rust" }, pytest = { folder = "py", env = ENV },
  e2e = { command = "sh e.sh", folder = "cmd", format = "tap" },
}
"""
QUICK = ("pytest", "node", "command")


def present(kinds):
    """Return the kinds whose programs work here."""
    needs = {"node": "node", "cargo": "cargo", "go": "go"}
    return [kind for kind in kinds if kind not in needs or works(needs[kind])]


class EditedRepository(Project):
    """The repository; `state` has what the verdict of each kind rests on."""

    def __init__(self, root, kinds, *, path=()):
        super().__init__(root)
        self.kinds = kinds
        self.path = [str(folder) for folder in path]
        self.variables = {}
        self.number = 0
        self.state = {kind: dict.fromkeys(("value", "data", "plus", "given", "second"), 0)
                      for kind in kinds}  # fmt: skip
        self.kept = {}  # by kind: all that it may rest on, as it was in the last pass
        self.is_manifest_plus = False
        (self.root / ".git").mkdir()
        for name, text in FIXED.items():
            kind = {folder: kind for kind, folder in FOLDERS.items()}.get(name.partition("/")[0])
            if kind in kinds or (kind is None and (name != "go.mod" or "go" in kinds)):
                self.write(name, text)
        self._write_manifest()
        for kind in kinds:
            self.write(f"{FOLDERS[kind]}/{TESTS[kind]}", SUM[kind])
            self._write_value(kind)
            self._write_data(kind)
        if "node" in kinds:
            self._write_package_json()

    def environment(self, extra=None):
        """Return an environment with the kinds' programs, and without the network."""
        variables = super().environment(extra)
        for name in [name for name in variables if name.startswith("CARGO_")]:
            if name != "CARGO_HOME":
                del variables[name]
        for name in ("GOFLAGS", "GOWORK", "GO111MODULE", "GOPATH", "PYTHONPATH"):
            variables.pop(name, None)
        folders = [str(Path(sys.executable).parent), *self.path, variables["PATH"]]
        own = {"PATH": os.pathsep.join(folders), "CARGO_NET_OFFLINE": "true", "GOPROXY": "off",
               "GOTOOLCHAIN": "local", "ENVY_TEST_SETTLE": "0",
               "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
               # Python takes the bytecode of a source with the same size and second.
               "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        return {**variables, **own, **self.variables, **(extra or {})}

    def put(self, name, text):
        """Write a file, in one of the ways in which programs do."""
        path = self.root / name
        self.number += 1
        # cargo builds nothing again if a source has the time that it had before.
        if not path.exists() or self.number % 3 == 0 or name.endswith(".rs"):
            self.write(name, text)
        elif self.number % 3 == 1:  # the time is that of the file before
            before = path.stat()
            path.write_text(text)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            new = self.write(f"{name}.new", text)
            new.replace(path)

    def _write_value(self, kind):
        name, text = VALUES[kind]
        self.put(f"{FOLDERS[kind]}/{name}", text.format(self.state[kind]["value"]))

    def _write_data(self, kind):
        folder, number = FOLDERS[kind], self.state[kind]["data"]
        name, text = ("data.lua", "return {}\n") if kind == "recipe" else ("data.txt", "{}")
        self.put(f"{folder}/{name}", text.format(number))

    def _write_package_json(self):
        flag = " --require ./plus.cjs" if self.state["node"]["plus"] else ""
        self.put("js/package.json", json.dumps({"scripts": {"test": f"node{flag} --test"}}))
        self.put("js/plus.cjs", "globalThis.plus = 1;\n")

    def _write_manifest(self):
        given = '{ VALUE_pytest = "1" }' if self.is_manifest_plus else "{}"
        rows = MANIFEST.replace("ENV", given).splitlines()
        if "recipe" not in self.kinds:
            rows[0] = "packages = {}"
        if "node" not in self.kinds:
            rows[2] = rows[2].replace('node = { folder = "js" },', "")
        if "cargo" not in self.kinds:
            rows[2] = rows[2].replace('cargo = { folder = "rust" },', "")
        self.put("envy.lua", "\n".join([*rows, ""]))

    def step(self, choose):
        """Change something at random; return what."""
        kind = choose.choice(self.kinds)
        changes = [self.value, self.value, self.data, self.data, self.given, self.plus, self.second,
                   self.touch, self.noise, self.remove, self.rename, self.settings,
                   self.back]  # fmt: skip
        change = choose.choice(changes)
        change(kind, choose)
        return f"{kind}: {change.__name__} {self.state[kind]}"

    def value(self, kind, choose):
        """Give a source another value."""
        self.state[kind]["value"] = choose.randrange(4)
        self._write_value(kind)

    def data(self, kind, choose):
        """Give a data file another value."""
        self.state[kind]["data"] = choose.randrange(4)
        self._write_data(kind)

    def given(self, kind, choose):
        """Set a variable."""
        if kind != "recipe":
            self.state[kind]["given"] = choose.randrange(3)
            self.variables[f"VALUE_{kind}"] = str(self.state[kind]["given"])

    def plus(self, kind, _):
        """Add or remove a file that is looked for."""
        state = self.state[kind]
        state["plus"] = 1 - state["plus"]
        if kind == "node":
            self._write_package_json()
            return
        name, text = PLUS[kind]
        if state["plus"]:
            self.put(f"{FOLDERS[kind]}/{name}", text)
        else:
            (self.root / FOLDERS[kind] / name).unlink()

    def second(self, kind, choose):
        """Add, change or remove the second file of tests."""
        if kind not in SECOND:
            return
        self.state[kind]["second"] = choose.randrange(3)
        name, text = SECOND[kind]
        if self.state[kind]["second"]:
            self.put(f"{FOLDERS[kind]}/{name}", text.format(self.state[kind]["second"] - 1))
        else:
            (self.root / FOLDERS[kind] / name).unlink(missing_ok=True)

    def touch(self, kind, _):
        """Change the times of all files."""
        for path in (self.root / FOLDERS[kind]).rglob("*"):
            if path.is_file() and "target" not in path.parts:
                os.utime(path)

    def noise(self, kind, choose):
        """Write files that nothing rests on; in a folder of native tests, all count."""
        if kind != "native":
            self.write(f"{FOLDERS[kind]}/x.log", str(self.number))
        self.write(f"notes/{choose.randrange(3)}.md", str(self.number))

    def remove(self, kind, _):
        """Remove the data file, which then counts as 0."""
        if kind != "recipe":
            self.state[kind]["data"] = 0
            (self.root / FOLDERS[kind] / "data.txt").unlink(missing_ok=True)

    def rename(self, kind, _):
        """Rename the file of a test."""
        if kind == "pytest":
            tests = self.root / FOLDERS[kind] / "tests"
            a, b = tests / "test_sum.py", tests / "test_all.py"
            (a if a.exists() else b).rename(b if a.exists() else a)

    def settings(self, _, __):
        """Set or unset a variable in the manifest."""
        self.is_manifest_plus = not self.is_manifest_plus
        self._write_manifest()

    def back(self, kind, _):
        """Take changes back."""
        self.state[kind]["value"] = self.state[kind]["data"] = 0
        self._write_value(kind)
        self._write_data(kind)

    def verdicts(self):
        """Return the verdict of each kind, by the model."""
        found = {}
        for kind, state in self.state.items():
            given = 1 if kind == "pytest" and self.is_manifest_plus else state["given"]
            total = state["value"] + state["data"] + state["plus"] + given
            found[kind] = "fail" if total % 4 == 3 or state["second"] == 2 else "pass"
        return found

    def run(self, *words):
        """Run all tests; return the kinds' verdicts, those that were cached, and the run."""
        run = self.envy("test", "--json", *words, code=None, trace=False)
        assert run.code in {0, 1}, (run.code, run.out, run.err)
        return *self.read(run.out, run.code), run

    def read(self, out, code):
        """Return the kinds' verdicts by the events of a run, and those that were cached."""
        verdicts, fresh = {}, set()
        for event in map(json.loads, out.splitlines()):
            if event["Action"] in {"pass", "fail", "skip"} and not event.get("Test"):
                kind = kind_of(event["Package"])
                if verdicts.get(kind) != "fail":
                    verdicts[kind] = event["Action"]
                if not event.get("Cached"):
                    fresh.add(kind)
        assert code == int("fail" in verdicts.values())
        return verdicts, set(verdicts) - fresh

    def held(self):
        """Return the kinds whose last pass rests on the present state, and note new passes."""
        verdicts, known = self.verdicts(), set()
        for kind in self.kinds:
            state = (self._files(kind), dict(self.variables), self.is_manifest_plus)
            if self.kept.get(kind) == state:
                known.add(kind)
            elif verdicts[kind] == "pass":
                self.kept[kind] = state
        return known

    def _files(self, kind):
        """Return the files of a kind with their contents, apart from what git ignores."""
        folder = self.root / FOLDERS[kind]
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in {".log", ".pyc"}
            and not {"target", "__pycache__", ".pytest_cache"} & set(path.parts)
        }  # fmt: skip


def kind_of(package):
    """Return the kind that a package belongs to."""
    if package == "e2e":
        return "command"
    return next(kind for kind, folder in FOLDERS.items() if folder in package)
