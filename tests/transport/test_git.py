"""Git sources are fetched as the plain tree of one commit."""

import os

import pytest
from loopback.git_repository import GitRepository
from loopback.programs import run_program

from envy.declarations.sources import SourceItem
from envy.errors import FetchError, ScriptFailed
from envy.transport import fetch_source, resolve_ref
from envy.transport.context import NoAnswer


def item(repository, ref="main", **fields):
    source = fields.pop("source", repository.url)
    return SourceItem(source=source, ref=ref, base_dir=repository.path.parent, **fields)


def names(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_branch_means_its_commit(git_repository, recorder):
    """A branch is resolved to the commit at its head."""
    git_repository.commit({"a": "1"})
    commit = git_repository.commit({"a": "2"})
    assert resolve_ref(item(git_repository), recorder.context()) == commit


@pytest.mark.parametrize("annotated", [False, True])
def test_tag_means_its_commit(git_repository, recorder, annotated):
    """A tag is resolved to the commit that it points to, annotated or not."""
    commit = git_repository.commit({"a": "1"})
    git_repository.tag("v1", annotated=annotated)
    git_repository.commit({"a": "2"})
    assert resolve_ref(item(git_repository, "v1"), recorder.context()) == commit


def test_no_ref_means_the_default_branch(git_repository, recorder):
    """Without a ref, the commit of the repository's HEAD is used."""
    commit = git_repository.commit({"a": "1"})
    git_repository.commit({"a": "2"}, branch="other")
    assert resolve_ref(item(git_repository, ""), recorder.context()) == commit


def test_full_hash_needs_no_request(git_repository, recorder):
    """A full hash needs no request."""
    assert resolve_ref(item(git_repository, "AB" * 20), recorder.context()) == "ab" * 20
    assert not recorder.programs


def test_ref_is_requested_once(git_repository, recorder):
    """Within one context a ref keeps its commit, whatever is pushed in between."""
    first = git_repository.commit({"a": "1"})
    context = recorder.context()
    assert resolve_ref(item(git_repository), context) == first
    git_repository.commit({"a": "2"})
    assert resolve_ref(item(git_repository), context) == first


def test_tag_before_branch(git_repository, recorder):
    """If a tag and a branch have the same name, the tag is used, with a warning."""
    commit = git_repository.commit({"a": "1"})
    git_repository.tag("v1")
    git_repository.commit({"a": "2"})
    git_repository.git("push", "-q", "origin", "main:refs/heads/v1")
    assert resolve_ref(item(git_repository, "v1"), recorder.context()) == commit
    assert "refs/heads/v1" in recorder.warnings[0]


def test_unknown_ref_names_a_near_one(git_repository, recorder):
    """An unknown ref is an error that suggests a similar one."""
    git_repository.commit({"a": "1"})
    git_repository.tag("v1.10")
    with pytest.raises(FetchError, match=r'did you mean "v1.10"'):
        resolve_ref(item(git_repository, "v1.11"), recorder.context())


def test_short_hash_is_explained(git_repository, recorder):
    """An abbreviated hash is an error that asks for the full one."""
    commit = git_repository.commit({"a": "1"})
    with pytest.raises(FetchError, match="40 digits"):
        resolve_ref(item(git_repository, commit[:10]), recorder.context())


def test_ref_is_no_option(git_repository, recorder):
    """A ref that looks like an option is treated as a ref, which does not exist."""
    git_repository.commit({"a": "1"})
    with pytest.raises(FetchError):
        resolve_ref(item(git_repository, "--upload-pack=touch evil"), recorder.context())
    assert not (git_repository.path.parent / "evil").exists()


def test_tree_without_history(git_repository, recorder, tmp_path):
    """Only the files of the commit are fetched, without any of git's, and shallow if possible."""
    git_repository.commit({"a": "1"})
    commit = git_repository.commit({"a": "2", "d/b": "3"})
    fetched = fetch_source(item(git_repository), tmp_path / "into", recorder.context())
    assert fetched.path == tmp_path / "into" / "tool"
    assert names(fetched.path) == ["a", "d/b"]
    assert (fetched.path / "a").read_text() == "2"
    assert fetched.uri.endswith(f"#{commit}")
    assert [each.name for each in (tmp_path / "into").iterdir()] == ["tool"]


def test_old_commit_by_its_hash(git_repository, recorder, tmp_path):
    """A commit that is at no head is fetched by its hash, and counts as verified."""
    commit = git_repository.commit({"a": "1"})
    git_repository.commit({"a": "2"})
    fetched = fetch_source(item(git_repository, commit), tmp_path / "i", recorder.context())
    assert (fetched.path / "a").read_text() == "1"
    assert fetched.verified


def test_server_without_shallow_copies(git_repository, recorder, tmp_path, http_server):
    """A plain web server can only serve the whole history, which is then fetched."""
    commit = git_repository.commit({"a": "1"})
    git_repository.commit({"a": "2"})
    source = git_repository.served_by(http_server)
    source_item = item(git_repository, commit, source=source)
    fetched = fetch_source(source_item, tmp_path / "into", recorder.context())
    assert (fetched.path / "a").read_text() == "1"


def test_subdir_of_a_repository(git_repository, recorder, tmp_path):
    """Only the `subdir` of the commit is fetched."""
    git_repository.commit({"a": "1", "recipe/b": "2"})
    fetched = fetch_source(
        item(git_repository, subdir="recipe"), tmp_path / "into", recorder.context()
    )
    assert names(fetched.path) == ["b"]


def test_submodules_by_option(git_repository, recorder, tmp_path):
    """Submodules are fetched if requested, without any files of git."""
    inner = GitRepository(tmp_path / "repositories", "inner")
    inner.commit({"i": "1"})
    git_repository.commit({"a": "1"})
    git_repository.git(
        "-c", "protocol.file.allow=always", "submodule", "-q", "add", "../inner.git", "sub"
    )
    git_repository.commit({"a": "2"})
    without = fetch_source(item(git_repository), tmp_path / "i", recorder.context())
    assert names(without.path) == [".gitmodules", "a"]
    with_them = fetch_source(
        item(git_repository, submodules=True), tmp_path / "j", recorder.context()
    )
    assert names(with_them.path) == [".gitmodules", "a", "sub/i"]


def test_missing_commit(git_repository, recorder, tmp_path):
    """A commit that the repository does not have is an error, and leaves nothing."""
    git_repository.commit({"a": "1"})
    with pytest.raises(FetchError, match="has no commit"):
        fetch_source(item(git_repository, "12" * 20), tmp_path / "into", recorder.context())
    assert not list((tmp_path / "into").iterdir())


def test_hook_environment_is_not_inherited(git_repository, recorder, tmp_path):
    """Inside a git hook, envy does not touch the repository of the hook."""
    commit = git_repository.commit({"a": "1"})
    victim = GitRepository(tmp_path / "victim")
    victim.commit({"v": "1"})
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_DIR": str(victim.work_tree / ".git"),
        "GIT_WORK_TREE": str(victim.work_tree),
        "GIT_INDEX_FILE": str(victim.work_tree / ".git" / "index"),
    }
    context = recorder.context(environment)
    fetched = fetch_source(item(git_repository, commit), tmp_path / "into", context)
    assert names(fetched.path) == ["a"]
    assert not victim.git("status", "--porcelain")


def test_unreachable_repository_shows_no_password(git_repository, recorder, http_server):
    """The message of git is shown, without the password; another time, it may be reached."""
    source = http_server.url_with("me", "hunter2") + "/gone.git"
    with pytest.raises(NoAnswer, match="git ls-remote failed") as caught:
        resolve_ref(item(git_repository, source=source), recorder.context())
    assert "hunter2" not in str(caught.value)


def test_missing_program(git_repository, recorder):
    """Without git the error says that it is needed."""

    def run(argv, **_):
        raise ScriptFailed(command=argv[0], exit_code=127, reason="could not start")

    with pytest.raises(FetchError, match="install git"):
        resolve_ref(item(git_repository), recorder.context(run=run))


def test_path_of_a_repository(git_repository, recorder, tmp_path):
    """A repository on this machine is named by a path, relative to the file that names it."""
    git_repository.commit({"a": "1"})
    source_item = item(git_repository, source="tool.git")
    fetched = fetch_source(source_item, tmp_path / "into", recorder.context(run=run_program))
    assert names(fetched.path) == ["a"]
