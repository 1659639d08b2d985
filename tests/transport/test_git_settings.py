"""The user's git settings decide how a repository is reached, never what its commits contain."""

import os
import stat

import pytest
from loopback.git_repository import GitRepository

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source

ATTRIBUTES = "*.txt text\n*.up filter=upper\n*.big filter=lfs\n"
FILES = {
    ".gitattributes": ATTRIBUTES,
    "a.txt": "one\ntwo\n",
    "b.up": "lower\n",
    "c": "plain\n",
    "d.big": "not a pointer\n",
}


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def program(tmp_path, marker):
    """Return a program that records that it ran, and writes `evil`."""
    path = tmp_path / "programs" / "note"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\necho evil\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def hostile(tmp_path, program):
    """Return a home folder whose git settings change files and run programs."""
    home = tmp_path / "home"
    hooks = home / "hooks"
    template = home / "template"
    for folder in (hooks, template / "hooks", template / "info"):
        folder.mkdir(parents=True)
    for folder in (hooks, template / "hooks"):
        for name in ("post-checkout", "post-index-change", "reference-transaction"):
            (folder / name).write_text(f"#!/bin/sh\n{program} {name}\necho evil > c\n")
            (folder / name).chmod(0o755)
    (template / "info" / "attributes").write_text("* text eol=crlf\n")
    (template / "info" / "sparse-checkout").write_text("a.txt\n")
    (home / "attributes").write_text("* text eol=crlf ident filter=upper\n")
    (home / ".gitconfig").write_text(
        f"""
[core]
    hooksPath = {hooks}
    attributesFile = {home}/attributes
    eol = crlf
    autocrlf = true
    symlinks = false
    fsmonitor = {program}
    sparseCheckout = true
    worktree = {home}/elsewhere
    bare = true
[init]
    templateDir = {template}
    defaultBranch = "not a branch..name"
    defaultObjectFormat = sha256
[filter "upper"]
    smudge = {program}
    required = true
[filter "lfs"]
    smudge = {program}
    process = {program}
    required = true
[submodule]
    recurse = true
    active = nothing
[submodule "sub"]
    update = !{program}
    url = file:///nowhere
    active = false
[remote "origin"]
    url = file:///nowhere
    uploadpack = {program}
[protocol]
    allow = always
[protocol "ext"]
    allow = always
[protocol "file"]
    allow = always
"""
    )
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def item(repository, commit, **fields):
    source = fields.pop("source", repository.url)
    return SourceItem(source=source, ref=commit, base_dir=repository.path.parent, **fields)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
            stat.S_IFMT(path.lstat().st_mode),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("ref", ["commit", "main"])
def test_hostile_settings_change_nothing(git_repository, recorder, tmp_path, hostile, marker, ref):
    """With hooks, filters, templates and line ends in the user's settings, the tree is the same."""
    (git_repository.work_tree / "link").symlink_to("c")
    commit = git_repository.commit(FILES)
    wanted = item(git_repository, commit if ref == "commit" else ref)
    plain = fetch_source(wanted, tmp_path / "plain", recorder.context())
    fetched = fetch_source(wanted, tmp_path / "into", recorder.context(hostile))
    assert content(fetched.path) == content(plain.path)
    assert content(fetched.path)["link"] == ("c", stat.S_IFLNK)
    assert (fetched.path / "b.up").read_text() == "lower\n"
    assert not marker.exists()


def test_hostile_settings_for_submodules(git_repository, recorder, tmp_path, hostile, marker):
    """Neither the address, the update nor the state of a submodule is taken from the settings."""
    inner = GitRepository(git_repository.path.parent, "inner")
    inner.commit({"i": "1\n"})
    add_submodule(git_repository, "../inner.git", "sub")
    commit = git_repository.commit({"c": "1"})
    fetched = fetch_source(
        item(git_repository, commit, submodules=True), tmp_path / "into", recorder.context(hostile)
    )
    assert (fetched.path / "sub" / "i").read_bytes() == b"1\n"
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_TEMPLATE_DIR", "{home}/template"),
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_DEFAULT_REF_FORMAT", "unknown"),
        ("GIT_CONFIG", "/nowhere"),
        ("GIT_OBJECT_DIRECTORY", "{home}/objects"),
        ("GIT_COMMON_DIR", "{home}"),
        ("GIT_NAMESPACE", "other"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_INDEX_FILE", "{home}/index"),
        ("GIT_SHALLOW_FILE", "{home}/shallow"),
        ("GIT_ATTR_SOURCE", "HEAD~5"),
    ],
)
def test_variables_change_nothing(git_repository, recorder, tmp_path, hostile, marker, name, value):
    """A variable that points git elsewhere, as in a hook, does not change the tree."""
    commit = git_repository.commit(FILES)
    variables = hostile | {name: value.format(home=hostile["HOME"])}
    fetched = fetch_source(
        item(git_repository, commit), tmp_path / "into", recorder.context(variables)
    )
    assert content(fetched.path)["c"] == (b"plain\n", stat.S_IFREG)
    assert not marker.exists()


def test_line_ends_of_the_commit_are_kept(git_repository, recorder, tmp_path):
    """Line ends that the commit's own attributes demand are part of its tree."""
    commit = git_repository.commit({".gitattributes": "*.bat eol=crlf\n", "a.bat": "x\n"})
    fetched = fetch_source(item(git_repository, commit), tmp_path / "into", recorder.context())
    assert (fetched.path / "a.bat").read_bytes() == b"x\r\n"


def test_programs_are_no_repositories(recorder, tmp_path, hostile, marker):
    """A source that names a program is refused by git, whatever the user's settings allow."""
    source = SourceItem(source=f"git+ext::touch {marker} x.git", dest="x", base_dir=tmp_path)
    for variables in ({}, {"GIT_ALLOW_PROTOCOL": "ext:file"}):
        with pytest.raises(FetchError, match="transport 'ext' not allowed"):
            fetch_source(source, tmp_path / "into", recorder.context(hostile | variables))
    assert not marker.exists()


@pytest.mark.parametrize("ref", ["commit", "main"])
@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_object_format_is_that_of_the_commit(recorder, tmp_path, hostile, form, ref):
    """A repository of either object format is fetched, whatever the settings say."""
    repository = GitRepository(tmp_path / "repositories", object_format=form)
    commit = repository.commit({"a": "1"})
    wanted = item(repository, commit if ref == "commit" else ref)
    fetched = fetch_source(wanted, tmp_path / "into", recorder.context(hostile))
    assert (fetched.path / "a").read_text() == "1"


def test_rewritten_addresses_stay(git_repository, recorder, tmp_path):
    """`insteadOf` in the user's settings still decides where a repository is reached."""
    commit = git_repository.commit({"a": "1"})
    home = tmp_path / "home"
    home.mkdir()
    folder = git_repository.path.parent.as_uri()
    (home / ".gitconfig").write_text(f'[url "{folder}/"]\ninsteadOf = https://host.invalid/\n')
    context = recorder.context({"PATH": os.environ["PATH"], "HOME": str(home)})
    wanted = item(git_repository, commit, source="https://host.invalid/tool.git")
    assert (fetch_source(wanted, tmp_path / "into", context).path / "a").read_text() == "1"


def test_credential_helpers_stay(recorder, tmp_path, http_server, marker):
    """A credential helper in the user's settings is asked."""
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\ntouch {marker}\necho username=me\necho password=pw\n")
    helper.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[credential]\nhelper = {helper}\n")
    http_server.routes["/tool.git/info/refs"] = unauthorized
    context = recorder.context({"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    source = f"{http_server.url}/tool.git"
    with pytest.raises(FetchError):
        fetch_source(SourceItem(source=source, base_dir=tmp_path), tmp_path / "into", context)
    assert marker.exists()


def unauthorized(_):
    from loopback.http_server import Reply

    return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})


def add_submodule(repository, url, path):
    repository.git("-c", "protocol.file.allow=always", "submodule", "-q", "add", url, path)
