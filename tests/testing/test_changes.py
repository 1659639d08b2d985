"""What differs from a commit, and which inputs have part in it."""

import os
import subprocess
from dataclasses import replace

import pytest

from envy.declarations.suite_settings import SuiteSettings
from envy.errors import UsageError
from envy.host.children import Children
from envy.testing.changes import ADDED, EDITED, REMOVED, Changes
from envy.testing.drivers.go_changes import _embeds, affected_packages
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_list import GoPackage
from envy.testing.drivers.projects.changed import ProjectCause, cause_in_project, names_match
from envy.testing.drivers.projects.project import SuiteProject
from envy.testing.evidence import FILE, LISTING, STATUS, VARIABLE, Fact
from envy.testing.git_changes import find_changes
from envy.testing.package import PackageRun, TestPackage


def changes(top, **rows):
    """Return changes of paths below `top`; `__` stands for a dot, and `8` for a slash."""
    names = {name: name.replace("__", ".").replace("8", "/") for name in rows}
    paths = {f"{top}/{names[name]}": how for name, how in rows.items()}
    return Changes(ref="main", top=str(top), rows=paths, known=frozenset(paths))


def test_a_file_is_found_through_links(tmp_path):
    """A link that changed counts, and so does what it leads to; a loop leads nowhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").write_text("x")
    (tmp_path / "way").symlink_to("real")
    (tmp_path / "one").symlink_to("way/x")
    (tmp_path / "loop").symlink_to("loop")
    found = changes(tmp_path, real8x=EDITED)
    for path in ("real/x", "way/x", "one", "way/../real/x", "./way/./x", "way"):
        assert found.of_file(f"{tmp_path}/{path}") == "real/x", path
    assert not found.of_file(f"{tmp_path}/loop")
    assert not found.of_file(f"{tmp_path}/real/y")
    assert changes(tmp_path, way=EDITED).of_file(f"{tmp_path}/one") == "way"
    assert changes(tmp_path, way=EDITED).of_folder(f"{tmp_path}/way") == "way"


def test_folders_have_what_is_below_them(tmp_path):
    """Names with a dot are left out if asked; names alone change with what comes and goes."""
    found = changes(tmp_path, a8__hidden8x=ADDED, a8b8y=EDITED, ab=REMOVED)
    assert found.of_folder(f"{tmp_path}/a") == "a/.hidden/x"
    assert found.of_folder(f"{tmp_path}/a", hidden=False) == "a/b/y"
    assert found.of_names(f"{tmp_path}/a") == "a/.hidden/x"
    assert not found.of_names(f"{tmp_path}/a/b")
    assert not found.of_folder(f"{tmp_path}/b")
    assert found.of_fact(Fact(LISTING, str(tmp_path), "")) == "a/.hidden/x"
    assert found.of_fact(Fact(FILE, f"{tmp_path}/ab", "")) == "ab"
    assert not found.of_fact(Fact(VARIABLE, "ab", ""))
    inner = changes(tmp_path, module=EDITED)  # a repository of its own
    assert inner.of_file(f"{tmp_path}/module/x/y") == "module"
    (tmp_path / "made").write_text("")
    assert found.ignores(f"{tmp_path}/made")
    assert not found.ignores(f"{tmp_path}/missing")
    assert not found.ignores("/etc/passwd")


def test_git_tells_all_that_differs(tmp_path):
    """Commits, the index, files, renames, what is untracked, and what git does not look at."""
    top = tmp_path / "repository"
    (top / "sub").mkdir(parents=True)
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        variables |= {f"GIT_{who}_NAME": "t", f"GIT_{who}_EMAIL": "t@example.com"}

    def git(*words):
        subprocess.run(["git", *words], cwd=top, env=variables, check=True, capture_output=True)

    def found(ref, where=top):
        told = find_changes(ref, where, variables, Children())
        return {told.shown(path): how for path, how in told.rows.items()}

    names = ("kept", "edited", "staged", "gone", "old name", "unseen", "committed", "\udcff")
    for name in (*names, "unseen and gone", "skipped"):
        (top / name).write_text(name, errors="surrogateescape")
    (top / ".gitignore").write_text("*.log\n")
    (top / "link").symlink_to("kept")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "one")
    assert found("main") == {}
    git("checkout", "-qb", "work")
    (top / "committed").write_text("other")
    git("commit", "-qam", "two")
    (top / "edited").write_text("other")
    (top / "staged").write_text("other")
    git("add", "staged")
    (top / "gone").unlink()
    git("mv", "old name", "new name")
    (top / "sub/\n new").write_text("")
    (top / "x.log").write_text("")
    (top / "sub/__pycache__").mkdir()
    (top / "sub/__pycache__/x").write_text("")
    git("update-index", "--assume-unchanged", "unseen", "unseen and gone")
    git("update-index", "--skip-worktree", "skipped")
    for name in ("unseen and gone", "skipped"):
        (top / name).unlink()
    expected = {
        "committed": EDITED, "edited": EDITED, "staged": EDITED, "gone": REMOVED,
        "old name": REMOVED, "new name": ADDED, "sub/\n new": ADDED, "unseen": EDITED,
        "unseen and gone": REMOVED, "skipped": REMOVED,
    }  # fmt: skip
    assert found("main", top / "sub") == expected
    git("config", "core.sparseCheckout", "true")  # what is skipped need not be there
    del expected["skipped"]
    assert found("main...") == expected
    assert "committed" not in found("HEAD")
    assert find_changes("main", top, variables, Children()).links == [
        f"{os.path.realpath(top)}/link"
    ]
    git("checkout", "-q", "--orphan", "alone")
    git("commit", "-qm", "three")
    with pytest.raises(UsageError, match="main and HEAD have no common commit here"):
        found("main...")
    with pytest.raises(UsageError, match="has no files that git has checked out"):
        found("main", top / ".git")
    for ref in ("", "...", "-x", "a..b", "a\nb"):
        with pytest.raises(UsageError, match="is not a revision of git"):
            found(ref)


ATTRIBUTES = """*.txt text
*.auto text=auto
*.bat text eol=crlf
*.raw -text
*.id ident
*.big filter=lfs
"""


def test_git_cannot_tell_of_a_file_that_it_converts(tmp_path):
    """Other line ends and what a filter may hide are doubtful, whatever git status looked at."""
    top = tmp_path / "repository"
    top.mkdir()
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    variables["GIT_LITERAL_PATHSPECS"] = "1"  # as users may set it

    def git(*words):
        subprocess.run(["git", *words], cwd=top, env=variables, check=True, capture_output=True)

    def doubtful():
        found = find_changes("HEAD", top, variables, Children())
        assert not found.rows
        return {found.shown(path) for path in found.doubtful}

    (top / ".gitattributes").write_text(ATTRIBUTES)
    for name in ("a.txt", "b.txt", "a.auto", "a.raw", "a.id", "a.big", "plain"):
        (top / name).write_bytes(b"1\n2\n")
    (top / "a.bat").write_bytes(b"1\r\n2\r\n")
    (top / "binary.auto").write_bytes(b"\0\r\n")
    git("init", "-q")
    git("add", "-A")
    git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one")
    assert doubtful() == {"a.id", "a.big"}
    for name in ("a.txt", "a.auto"):
        (top / name).write_bytes(b"1\r\n2\r\n")
    (top / "a.bat").write_bytes(b"1\r\n2\n")
    git("status")  # remembers that git sees no difference
    assert doubtful() == {"a.id", "a.big", "a.txt", "a.auto", "a.bat"}
    (top / "plain").write_bytes(b"1\r\n2\r\n")
    git("config", "core.autocrlf", "input")
    assert "plain" in doubtful()


def cause(found, root, inputs, programs=()):
    """Return why a project in `p` is affected that has no input but what `inputs` names."""
    settings = SuiteSettings(name="x", kind="command", inputs=inputs)
    project = SuiteProject(directory=root / "p", settings=settings)
    return cause_in_project(project, [], programs, found, root=root)


def test_inputs_that_git_does_not_look_at_are_unsure_without_a_change(tmp_path):
    """A folder elsewhere or one that git ignores may have lost a file; no other change matters."""
    for name in ("build", "p", "conf"):
        (tmp_path / name).mkdir()
    known = [f"{tmp_path}/p/x", f"{tmp_path}/conf/y"]
    nothing = Changes(ref="main", top=str(tmp_path), known=frozenset(known))
    for inputs in (["conf/*.toml"], ["p", "conf"], ["**/*.c"], ["x*"], None):
        assert cause(nothing, tmp_path, inputs) == ProjectCause(), inputs
    for inputs in (["../other/*.toml"], ["p", "../other"], ["build/*.cfg"], ["build/x"], ["/*/x"]):
        assert cause(nothing, tmp_path, inputs) == ProjectCause(is_unsure=True), inputs
    (tmp_path / "build/cache").write_text("x")
    for kind, is_unsure in ((STATUS, True), (FILE, False)):  # configured, or installed
        rows = [(kind, f"{tmp_path}/build/cache")]
        assert cause(nothing, tmp_path, None, rows).is_unsure is is_unsure
    other = replace(nothing, project="envy.lua changed")
    assert cause(other, tmp_path, None).text == "envy.lua changed"
    doubtful = replace(nothing, doubtful=frozenset([f"{tmp_path}/p/x"]))
    assert doubtful.cannot_tell(f"{tmp_path}/p")
    assert doubtful.cannot_tell("/etc/passwd")
    assert not doubtful.cannot_tell(f"{tmp_path}/conf")


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("/r/a/x.toml", "/r/a/*.toml", True),
        ("/r/x.toml", "/r/**/*.toml", True),
        ("/r/a/b/x.toml", "/r/**/*.toml", True),
        ("/r/a/b/x", "/r/[ab]", True),
        ("/r/x.lua", "/r/*.toml", False),
    ],
)
def test_a_removed_file_is_matched_by_its_name(path, pattern, matches):
    """A star may stand for more than it does in a folder that is there, never for less."""
    assert names_match(path, pattern) is matches


def test_patterns_of_embed_match_files_and_folders():
    """As with path.Match, a star does not stand for a slash; a folder has all below it."""
    assert _embeds("a/*.txt", "a/x.txt")
    assert _embeds("a", "a/b/c")
    assert not _embeds("a/*.txt", "b/x.txt")
    assert not _embeds("*/x/y", "a/x")


def test_files_of_modules_and_of_c_affect_more_than_their_folder(tmp_path):
    """go.mod decides for all packages, a header for those with C; those of fixtures do not."""
    rows = {
        name: {"ImportPath": name, "Dir": str(tmp_path / name), "Imports": uses, **more}
        for name, uses, more in (
            ("go", ["c"], {}),
            ("c", [], {"CgoFiles": ["c.go"]}),
            ("x", [], {}),
        )
    }
    runs = [
        PackageRun(
            package=TestPackage(
                name=name, directory=tmp_path / name, driver="go", has_tests=False,
                detail=GoPackage(record=row, main="", binary_name="", records=rows),
            )
        )
        for name, row in rows.items()
    ]  # fmt: skip

    def affected(flags=(), **files):
        known = affected_packages(
            runs, changes(tmp_path, **files), lambda _run: None, GoFlags(build=list(flags))
        )
        return {name: cause.partition(" ")[0] for name, cause in known.items()}

    assert affected(include8a__h=EDITED) == {"c": "include/a.h", "go": "include/a.h"}
    assert affected(x8y__go=REMOVED) == {"x": "x/y.go"}
    assert affected(x8y_test__go=REMOVED) == {}
    assert set(affected(go__mod=EDITED)) == set(rows)
    assert set(affected(vendor8modules__txt=EDITED)) == set(rows)
    assert affected(x8testdata8go__mod=EDITED) == {}
    assert set(affected(["-overlay=o.json"], y=EDITED)) == set(rows)
