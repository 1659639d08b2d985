"""`envy test --changed REF`: what changes since a revision can affect runs, and nothing else."""

import os
import subprocess

import pytest
from gotests import events_of
from test_suites import SuiteProject

USES = (
    'package {0}\nimport ("testing"; "example.com/m/q")\nfunc TestUse(t *testing.T) {{ q.Q() }}\n'
)
READS = """package reads
import ("os"; "testing")
func TestRead(t *testing.T) {
	if _, err := os.ReadFile("../shared/data.txt"); err != nil { t.Fatal(err) }
}
"""
EMBEDS = """package embeds
import _ "embed"
//go:embed a/*.txt
var text string
"""
PLAIN = 'package {0}\nimport "testing"\nfunc TestIt(t *testing.T) {{}}\n'


MANIFEST = """packages = {}
tests = {
  pytest = {},
  e2e = {
    command = "sh run.sh", format = "exit", folder = "e2e", inputs = { "e2e", "conf/*.toml" },
  },
}
"""


class GitFolder:
    """A repository whose files tests change."""

    def __init__(self, project):
        self.project = project

    def __call__(self, *words, cwd=None):
        variables = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for who in ("AUTHOR", "COMMITTER"):
            variables |= {f"GIT_{who}_NAME": "t", f"GIT_{who}_EMAIL": "t@example.com"}
        run = subprocess.run(
            ["git", *words], cwd=cwd or self.project.root, env={**os.environ, **variables},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return run.stdout.strip()

    def commit(self, message="x"):
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture
def suites(tmp_path):
    return SuiteProject(tmp_path / "project")


@pytest.fixture
def repository(go_project):
    """A module in git whose results are kept: r uses q, and the others read files."""
    go_project.settle = "0"
    go_project.write("q/q.go", "package q\nfunc Q() int { return 1 }\n")
    go_project.test("q", PLAIN.format("q"))
    go_project.test("r", USES.format("r"))
    go_project.test("reads", READS)
    go_project.write("shared/data.txt", "good")
    go_project.write("embeds/e.go", EMBEDS)
    go_project.write("embeds/a/one.txt", "one")
    go_project.test("embeds", PLAIN.format("embeds"))
    git = GitFolder(go_project)
    git("init", "-q", "-b", "main")
    git.commit()
    return go_project, git


def ran(run):
    """Return the packages that were run or shown, and those that were left out."""
    ended = {
        event["Package"].rpartition("/")[2]: event
        for event in events_of(run)
        if event["Action"] in {"pass", "fail", "skip"} and "Test" not in event
    }
    left_out = {name for name, event in ended.items() if event["Action"] == "skip"}
    assert {ended[name]["Reason"] for name in left_out} <= {"not affected by changes since main"}
    return set(ended) - left_out, left_out


def test_go_packages_that_changes_cannot_affect_are_left_out(repository):
    """The graph, tests' sources, embedded files, testdata and what tests read decide."""
    project, git = repository
    everything = {"q", "r", "reads", "embeds"}

    def changed(*words, **options):
        return ran(project.envy_test("--json", "--changed", "main", *words, **options))

    def only(*names):
        return set(names), everything - set(names)

    assert changed() == (everything, set())  # what they read is not known
    project.write("notes.txt", "x")
    run = project.envy_test("--changed", "main", "--junit", str(project.root.parent / "x.xml"))
    assert run.out.startswith("4 packages not affected by changes since main\nnothing to run, ")
    assert "testsuite " not in (project.root.parent / "x.xml").read_text()
    project.write("shared/data.txt", "good!")
    git("add", "-A")
    project.write("q/x_test.go", PLAIN.format("q") + "// more\n")  # of q alone
    assert changed("--rerun") == only("reads", "q")
    git("checkout", "-qb", "work")
    git("commit", "-qam", "x")
    git("mv", "q/q.go", "q/z.go")
    assert changed("--run", "TestIt", "./embeds") == ({"embeds"}, set())  # its own selection
    run = project.envy_test("--explain", "--changed", "main", "./r", "./reads", "./embeds")
    assert "; selected, because q/q.go changed" in run.out
    assert "m/reads: cached, nothing changed since it passed; selected, because shared/data" in (
        run.out
    )
    assert "example.com/m/embeds: not affected by changes since main" in run.out
    assert "1 package not affected by changes since main\n2 passed, 0 failed" in run.out
    git.commit()
    git("checkout", "-qB", "main")
    (project.root / "embeds/a/one.txt").rename(project.root / "embeds/a/two.txt")
    inner = project.envy_test("--json", "--changed", "main", cwd=project.root / "embeds")
    assert ran(inner) == ({"embeds"}, set())


def test_a_revision_that_git_cannot_find_is_an_error(repository, tmp_path):
    """No git, no repository, an unknown revision and a shallow clone: each says what to do."""
    project, git = repository

    def refused(*words, project=project, **options):
        return project.envy_test(*words, code=2, **options).err

    assert "needs a revision of git" in refused("--changed", "")
    assert "hint: did you mean main? Or fetch it: git fetch origin mian" in refused(
        "--changed", "mian"
    )
    assert "'--output=x' is not a revision of git" in refused("--changed=--output=x")
    assert "--list is none" in refused("--changed", "main", "--list")
    nowhere = {"PATH": str(tmp_path)}
    assert "there is no git on PATH\n  hint: install git, or omit --changed" in refused(
        "--changed", "main", env=nowhere
    )
    other = type(project)(tmp_path / "other", project.go)
    assert "other is not in a git repository" in refused("--changed", "main", project=other)
    git.commit()
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth=1", f"file://{project.root}", str(shallow), cwd=tmp_path)
    clone = type(project)(shallow, project.go)
    said = refused("--changed", "HEAD~1", project=clone)
    assert "no revision 'HEAD~1', and is a shallow clone" in said
    assert "git fetch --depth=1 origin HEAD~1" in said


def test_other_kinds_are_selected_by_their_declared_inputs(suites):
    """A project of pytest, a command with inputs, a recipe and its helper, in a work tree."""
    git = GitFolder(suites)
    suites.write("envy.lua", MANIFEST)
    suites.write("py/pytest.ini", "[pytest]\n")
    suites.write("py/test_a.py", "def test_a(): pass\n")
    suites.write("e2e/run.sh", "exit 0\n")
    suites.write("conf/one.toml", "x = 1\n")
    suites.write("recipes/tool.lua", 'identity = "me.tool@r1"\n')
    suites.write("recipes/tool_test.lua", "function test_it(t) end\n")
    git("init", "-q", "-b", "main")
    git.commit()
    git("worktree", "add", "-q", "-b", "work", str(suites.root.parent / "tree"))
    tree = type(suites)(suites.root.parent / "tree")
    tree.cache = suites.cache

    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins of this run are not needed

    def changed(*words):
        return ran(tree.envy_test("--json", "--changed", "main", *words, env=quick))

    assert changed() == ({"tool"}, {"py", "e2e"})  # what the recipe's tests read is not known
    tree.write("README.md", "of nothing\n")
    assert changed() == (set(), {"py", "e2e", "tool"})
    tree.write("py/helper.py", "# new\n")
    (tree.root / "conf/one.toml").unlink()
    run = tree.envy_test("--changed", "main", "--explain", env=quick)
    assert (
        "py: ran, because this command has no earlier result of it; selected, because " in run.out
    )
    assert "selected, because py/helper.py changed\n" in run.out
    assert "selected, because conf/one.toml changed\n" in run.out
    assert "1 package not affected by changes since main\n2 passed" in run.out
    tree.write("envy.lua", MANIFEST + "-- more\n")
    tree.write("conf/one.toml", "x = 1\n")
    assert changed("./e2e") == ({"e2e"}, set())


LINKED = 'packages = {}\ntests = { native = { far = { link = { "third/v.o" } } } }\n'


def test_a_header_selects_exactly_the_native_packages_that_read_it(native_project):
    """The headers that sources were seen to read decide, in this repository or elsewhere."""
    project, git = native_project, GitFolder(native_project)
    test = '#include "{0}/{1}.h"\nint test_it(void) {{ return {1} - 1; }}\n'
    project.write("../other/far.h", "#define far 1\n")
    project.write("include/near.h", "#define near 1\n")
    project.write("far/x_test.c", test.format("../../other", "far"))
    project.write("near/x_test.c", test.format("../include", "near"))
    project.write("v.c", "int value(void) { return 0; }\n")
    library = project.write("third/v.o", "")
    words = [*project.compiler(), "-c", str(project.root / "v.c"), "-o", str(library)]
    subprocess.run(words, check=True, env=project.environment())
    project.write("envy.lua", LINKED)
    project.write("far/y_test.c", "int value(void);\nint test_value(void) { return value(); }\n")
    git("init", "-q", "-b", "main")
    git.commit()
    here = {"PATH": f"{project.zig}:/usr/bin:/bin", "ENVY_TEST_SETTLE": "0"}

    def changed(*words):
        return ran(project.envy_test("--json", "--changed", "main", *words, env=here))

    assert changed() == ({"far", "near"}, set())  # no header is known
    project.write("notes.txt", "x\n")
    assert changed() == (set(), {"far", "near"})
    (project.root / "notes.txt").unlink()
    project.write("../other/far.h", "#define far (1)\n")  # git shows no change
    assert changed() == ({"far"}, {"near"})
    git("mv", "include/near.h", "include/old.h")
    project.write("include/near.h", "#define near (1)\n")
    run = project.envy_test("--changed", "main", "--explain", env=here)
    assert "; selected, because include/near.h changed" in run.out
    assert "far: not affected by changes since main" in run.out
    with library.open("ab") as file:
        file.write(b"x")  # no linker minds
    run = project.envy_test("--changed", "main", "--explain", env=here)
    assert "; selected, because third/v.o changed" in run.out
    assert "building 1 package" in run.err
