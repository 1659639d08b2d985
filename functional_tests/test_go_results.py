"""Remembered results of Go tests: what is shown again, what runs, and that it is always right.

30 random edits here; ENVY_SOAK_RESULTS says how many, ENVY_SOAK_SEED from which seed on.
"""

import os
import random
import subprocess
import sys

import pytest
from gotests import events_of, outcomes

STEPS = int(os.environ.get("ENVY_SOAK_RESULTS", "30"))
READS = """package p
import ("os"; "strings"; "testing")
func TestData(t *testing.T) {
	text, err := os.ReadFile("data.txt")
	if err != nil || strings.TrimSpace(string(text)) == "bad" { t.Fatal(string(text), err) }
}
func TestFlavour(t *testing.T) { if os.Getenv("FLAVOUR") == "bad" { t.Fatal("flavour") } }
func TestTemporary(t *testing.T) { os.WriteFile(t.TempDir()+"/x", nil, 0o666) }
"""
USES = """package r
import ("testing"; "example.com/m/q")
func TestUse(t *testing.T) { if q.Q() > 5 { t.Fatal(q.Q()) } }
"""
OWN = 'package q\nimport "testing"\nfunc TestQ(t *testing.T) { t.Log("é", Q()) }\n'
# A process that starts another one, anywhere below `envy test`, fails.
NO_PROCESS = """
import sys
def refuse(event, _arguments):
    if event in {"subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system"}:
        raise RuntimeError(event)
sys.addaudithook(refuse)
from envy.cli.fast_path import answer
code = answer(sys.argv[1:])
heavy = {"click", "dataclasses", "json", "pathlib", "subprocess", "typing"} & set(sys.modules)
if code is None:
    from envy.cli.main import run_command_line
    from envy.environment import environment
    code = run_command_line(sys.argv[1:], environment=environment())
    heavy = None
sys.stderr.write(f"{code} {sorted(heavy) if heavy is not None else 'slow'}")
"""


@pytest.fixture
def remembering(go_project):
    """A module whose results are kept at once: p reads things, r uses q, none has no tests."""
    go_project.settle = "0"
    go_project.write("p/data.txt", "good")
    go_project.test("p", READS)
    go_project.write("q/q.go", "package q\nfunc Q() int { return 1 }\n")
    go_project.test("q", OWN)
    go_project.test("r", USES)
    go_project.write("none/none.go", "package none\n")
    return go_project


def ran(run):
    """Return the packages whose tests ran, by their last element."""
    return {
        event["Package"].rpartition("/")[2]
        for event in events_of(run)
        if event["Action"] in {"pass", "fail"} and "Test" not in event and not event.get("Cached")
    }


def without_process(project, *words):
    """Run envy so that it cannot start a process; return its output and what it said of itself."""
    run = subprocess.run(
        [sys.executable, "-c", NO_PROCESS, *words],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout, run.stderr


def plain(run):
    """Return the actions, tests and outputs of a run."""
    return [
        (e["Action"], e["Package"], e.get("Test"), e.get("Output"), e.get("Elapsed"))
        for e in events_of(run)
    ]


def test_an_unchanged_run_is_shown_again_without_a_process(remembering, tmp_path):
    """Text, events and JUnit are those of the real run, marked, and no process is started."""
    first = remembering.envy_test("--json", f"--junit={tmp_path / 'one.xml'}")
    assert ran(first) == {"p", "q", "r"}
    text, said = without_process(remembering, "test", "--json", f"--junit={tmp_path / 'one.xml'}")
    again = type(first)(code=0, out=text, err=said)
    assert said.endswith("0 slow")
    assert plain(again) == plain(first)
    assert ran(again) == set()
    remembering.envy_test("--json")
    text, said = without_process(remembering, "test", "--json")
    assert said == "0 []"
    assert plain(type(first)(code=0, out=text, err=said)) == plain(first)
    assert all(event["Cached"] and event["Time"] for event in events_of(again))
    assert 'name="cached"' in (tmp_path / "one.xml").read_text()
    # Another command line has to be run once, which takes the results of packages.
    remembering.envy_test()
    text, said = without_process(remembering, "test")
    assert said == "0 []"
    assert "3 packages" not in text
    assert "in 4 packages (3 cached)" in text
    assert "(3 tests, cached)" in text
    shown = remembering.envy_test("--tui=never").out
    assert shown.splitlines()[:-1] == text.splitlines()[:-1]


def test_exactly_what_is_affected_runs(remembering):
    """A source, a file, a variable and a failure each rerun exactly what depends on them."""
    root = remembering.root
    assert ran(remembering.envy_test("--json")) == {"p", "q", "r"}
    for path in root.rglob("*"):
        os.utime(path)
    assert not without_process(remembering, "test", "--json")[1].endswith("slow")

    remembering.write("q/q.go", "package q\nfunc Q() int { return 2 }\n")
    run = remembering.envy_test("--json", "--explain")
    assert ran(run) == {"q", "r"}
    assert f"example.com/m/r: ran, because {root}/q/q.go changed" in run.err
    assert "example.com/m/p: cached" in run.err

    remembering.write("p/data.txt", "other")
    run = remembering.envy_test("--json", "--explain")
    assert ran(run) == {"p"}
    assert f"example.com/m/p: ran, because {root}/p/data.txt changed" in run.err
    run = remembering.envy_test("--json", "--explain", env={"FLAVOUR": "sweet"})
    assert ran(run) == {"p"}
    assert "variable FLAVOUR is set now" in run.err

    # Failures are never served, and the former result holds again.
    for _ in range(2):
        assert ran(remembering.envy_test("--json", env={"FLAVOUR": "bad"}, code=1)) == {"p"}
    assert outcomes(remembering.envy_test("--failed", "--json"))["TestFlavour"] == "pass"
    remembering.write("q/q.go", "package q\nfunc Q() int { return 7 }\n")
    assert ran(remembering.envy_test("--json", code=1)) >= {"q", "r"}
    assert ran(remembering.envy_test("--json", code=1)) == {"r"}
    remembering.write("q/q.go", "package q\nfunc Q() int { return 2 }\n")
    assert ran(remembering.envy_test("--json")) == set()
    assert "nothing failed" in remembering.envy_test("--failed", code=4).err

    # A new file, a new folder and a removed file.
    remembering.test("r", 'package r\nimport "testing"\nfunc TestNew(*testing.T) {}\n', "n_test.go")
    remembering.test("new", 'package n\nimport "testing"\nfunc TestN(*testing.T) {}\n')
    assert ran(remembering.envy_test("--json")) == {"r", "new"}
    (root / "new/x_test.go").unlink()
    assert "new" not in outcomes(remembering.envy_test("--json"))
    for words in (["--rerun"], ["--count=1"], ["--no-cache"]):
        assert ran(remembering.envy_test("--json", *words, "./p")) == {"p"}


def test_what_decides_on_the_toolchain_is_looked_for_again(remembering, tmp_path):
    """Another go on PATH, a go.work above, and a manifest, the user's own too, end an answer."""
    before = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "GOFLAGS": ""}
    run = remembering.envy_test("./p", env=before)
    assert "cached" not in run.out
    assert "cached, nothing changed" in remembering.envy_test("./p", "--explain", env=before).out
    other = tmp_path / "other"
    other.mkdir()
    path = {"PATH": f"{other}{os.pathsep}{remembering.environment()['PATH']}", **before}
    remembering.envy_test("./p", env=path)
    (other / "go").write_text("#!/bin/sh\necho other go\n")
    (other / "go").chmod(0o755)
    assert "is not a Go toolchain" in remembering.envy_test("./p", env=path, code=3).err
    manifest = tmp_path / "config/envy/envy.lua"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("packages = {}\n")
    run = remembering.envy_test("./p", "--explain", env=before)
    assert "what the manifest resolves to is not known" in run.out
    manifest.unlink()
    work = remembering.root.parent / "go.work"
    work.write_text("go 1.21\nuse ./elsewhere\n")
    remembering.envy_test("./p", env=before, code=None)
    work.write_text("go 1.21\nuse ./module\n")
    assert "cached" not in remembering.envy_test("./p", env=before).out
    work.unlink()
    assert "cached" in remembering.envy_test("./p", env=before).out


def test_a_bad_cache_of_results_is_one_warning(remembering):
    """Damaged and hostile files, and a folder that cannot be written, cost a warning and a run."""
    remembering.envy_test("./p")
    tests = remembering.cache / "test"
    for damage in (b"", b"\0" * 100, b"0" * 64, random.Random(1).randbytes(4096)):
        for path in [*tests.glob("results/*"), *tests.glob("runs/*")]:
            path.write_bytes(damage)
        run = remembering.envy_test("./p", "--json")
        assert ran(run) == {"p"}
        assert run.err.count("warning: results of tests are not remembered: ") == 1
        assert "is damaged" in run.err
    assert ran(remembering.envy_test("./p", "--json")) == set()
    for name in ("results", "runs"):
        (tests / name).rename(tests / f"former-{name}")
        (tests / name).write_text("a file in the place of a folder")
    run = remembering.envy_test("./p", "--json")
    assert ran(run) == {"p"}
    assert run.err.count("warning: results of tests are not remembered: cannot write") == 1


def test_what_proves_nothing_is_not_kept(remembering):
    """A leftover process, a changed input, a removed input and a written file keep no result."""
    remembering.test(
        "p",
        'package p\nimport ("os"; "testing")\n'
        "func TestOnce(t *testing.T) {\n"
        'if _, err := os.Stat("once"); err == nil { os.Remove("once"); return }\n'
        'if os.Getenv("ONCE") != "" { t.Fatal("once is gone") } }\n',
    )
    remembering.write("p/once", "")
    run = remembering.envy_test("--explain", "./p")
    assert "not kept" in run.out
    assert ran(remembering.envy_test("--json", "./p")) == {"p"}
    remembering.test(
        "p",
        'package p\nimport ("os"; "testing")\n'
        'func TestWrite(t *testing.T) { os.ReadFile("log"); os.WriteFile("log", nil, 0o666) }\n',
    )
    for _ in range(2):
        run = remembering.envy_test("--explain", "./p")
        assert "p/log changed" in run.out


def test_a_source_that_changes_while_it_is_built_is_built_again(remembering):
    """A binary of an edited source is not taken for that of the source that its key is made of."""
    real, change = remembering.go / "go", remembering.root / "change"
    remembering.go = remembering.root.parent / "programs"
    remembering.go.mkdir()
    source = remembering.root / "q/q.go"
    script = remembering.go / "go"
    script.write_text(
        f'#!/bin/sh\ncase "$1$2" in test-c) if test -e {change}; then rm {change}\n'
        f'echo "package q; func Q() int {{ return 9 }}" > {source}; fi;; esac\n'
        f'exec {real} "$@"\n'
    )
    script.chmod(0o755)
    text = source.read_text()
    change.touch()
    assert ran(remembering.envy_test("--json", "./r", code=1)) == {"r"}
    source.write_text(text)
    run = remembering.envy_test("--json", "--explain", "./r")
    assert outcomes(run)["TestUse"] == "pass"
    assert "is no toolchain itself, but starts one" in run.err
    # Without the whole answer, the package still has its result.
    assert ran(remembering.envy_test("--json", "./r")) == set()
    # The files that an overlay names are part of what is built.
    remembering.write("six.go", "package q; func Q() int { return 6 }")
    overlay = f'{{"Replace": {{"{source}": "{remembering.root}/six.go"}}}}'
    words = ("--json", f"-overlay={remembering.write('overlay.json', overlay)}", "./r")
    remembering.envy_test(*words, code=1)
    remembering.write("six.go", "package q; func Q() int { return 4 }")
    assert "-overlay is given" in remembering.envy_test("--explain", *words).err


def test_killed_runs_and_two_at_once_leave_what_a_clean_run_leaves(remembering):
    """After a kill at any moment, and beside another run, the verdicts are right and remembered."""
    seed = int(os.environ.get("ENVY_SOAK_SEED", "7"))
    moments = [0, 1, 7, 15] if STEPS <= 30 else random.Random(seed).sample(range(25), 20)
    for value, lines in enumerate(moments):
        remembering.write("q/q.go", f"package q\nfunc Q() int {{ return {value % 7} }}\n")
        with remembering.popen("test", "--json", env=remembering.environment()) as process:
            for _ in range(lines):
                process.stdout.readline()
            process.kill()
        run = remembering.envy_test("--json", code=int(value % 7 > 5))
        assert outcomes(run, "example.com/m/r")[""] == ("fail" if value % 7 > 5 else "pass")
    remembering.write("q/q.go", "package q\nfunc Q() int { return -1 }\n")
    both = [remembering.popen("test", env=remembering.environment()) for _ in range(2)]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)
    assert without_process(remembering, "test")[1] == "0 []"
    assert not list(remembering.cache.rglob("*.new"))


MODEL_TEST = """package NAME
import ("os"; "strconv"; "strings"; "testing"; IMPORT)
func number(path string) int {
	text, _ := os.ReadFile(path)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
func TestIt(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("VALUE_NAME"))
	if (number("data.txt")+n+VALUE)%4 == 3 { t.Fatal("as the model says") }
}
"""


class Model:
    """Three packages, `b` uses `a`; a test fails if the sum of what it depends on is 3 modulo 4."""

    def __init__(self, project):
        self.project = project
        self.sources = dict.fromkeys("abc", 0)
        self.data = dict.fromkeys("abc", 0)
        self.variables = {}
        self.kept = {}  # by package and sources: what it consulted when it last passed
        for name in "abc":
            self.write(name)
            self.project.write(f"{name}/data.txt", "0")
            imported = '"example.com/m/a"' if name == "b" else ""
            value = "Value+a.Value" if name == "b" else "Value"
            text = MODEL_TEST.replace("VALUE_NAME", f"VALUE_{name}").replace("NAME", name)
            text = text.replace("IMPORT", imported).replace("+VALUE)", f"+{value})")
            project.test(name, text)

    def write(self, name):
        self.project.write(
            f"{name}/{name}.go", f"package {name}\nconst Value = {self.sources[name]}\n"
        )

    def step(self, choose):
        """Change something."""
        name = choose.choice("abc")
        match choose.randrange(6):
            case 0:
                self.sources[name] = choose.randrange(3)
                self.write(name)
            case 1 | 2:
                self.data[name] = choose.randrange(4)
                self.project.write(f"{name}/data.txt", str(self.data[name]))
            case 3:
                self.variables[f"VALUE_{name}"] = str(choose.randrange(3))
            case 4:
                os.utime(self.project.root / name / f"{name}.go")
                os.utime(self.project.root / name / "data.txt")
            case 5:
                self.project.write(f"{name}/notes.txt", str(choose.random()))

    def expected(self):
        """Return the verdict of each package, and those that have to run."""
        verdicts, running = {}, set()
        for name in "abc":
            used = (self.sources[name], self.sources["a"] if name == "b" else None)
            consulted = (self.data[name], self.variables.get(f"VALUE_{name}"))
            total = sum(int(n or 0) for n in (*used, *consulted))
            verdicts[name] = "fail" if total % 4 == 3 else "pass"
            if self.kept.get((name, used)) != consulted:
                running.add(name)
                if verdicts[name] == "pass":
                    self.kept[name, used] = consulted
        return verdicts, running


def test_random_edits_never_get_a_stale_verdict(remembering):
    """After each random edit the verdicts are a model's, and only what has to run is run."""
    for name in ("p", "q", "r", "none"):
        for path in (remembering.root / name).iterdir():
            path.unlink()
        (remembering.root / name).rmdir()
    choose = random.Random(int(os.environ.get("ENVY_SOAK_SEED", "7")))
    model = Model(remembering)
    for number in range(STEPS):
        verdicts, running = model.expected()
        code = int("fail" in verdicts.values())
        run = remembering.envy_test("--json", "-vet=off", env=model.variables, code=code)
        ends = [e for e in events_of(run) if e["Action"] in {"pass", "fail"} and "Test" not in e]
        assert {e["Package"][-1]: e["Action"] for e in ends} == verdicts, number
        assert {e["Package"][-1] for e in ends if not e.get("Cached")} == running, number
        model.step(choose)
