"""`envy fetch` and `envy git-resolve`: sources that are fetched by hand."""

import hashlib
import json
import os

from loopback.http_server import Reply
from loopback.package_index import make_wheel
from project import tree
from test_json import SCHEMA, faults

TEXT = b"content"
DIGEST = hashlib.sha256(TEXT).hexdigest()


def test_files_are_fetched(project, http_server):
    """Into a folder or under a name, with the digest; never over another file unless asked."""
    http_server.routes["/a/tool.txt"] = Reply(TEXT)
    http_server.routes["/"] = Reply(TEXT)
    url = f"{http_server.url}/a/tool.txt"
    run = project.envy("fetch", url, trace=False)
    assert run.out == f"fetched tool.txt (7 B)\nsha256 {DIGEST}\n"
    project.envy("fetch", url, "new/folder/", trace=False)
    project.envy("fetch", url, "new/name", "--quiet", trace=False)
    project.envy("fetch", f"{http_server.url}/?id=1", "root", trace=False)
    assert tree(project.root) == dict.fromkeys(
        ("tool.txt", "new/folder/tool.txt", "new/name", "root"), "content"
    )
    count = len(http_server.requests)
    run = project.envy("fetch", url, "--sha256", DIGEST, "--json", trace=False)
    assert json.loads(run.out)["path"] == f"{project.root}/tool.txt"
    assert len(http_server.requests) == count
    project.write("tool.txt", "mine")
    run = project.envy("fetch", url, "--sha256", DIGEST, code=1, trace=False)
    assert "error: tool.txt exists already, with another digest" in run.err
    assert (project.root / "tool.txt").read_text() == "mine"
    run = project.envy("fetch", url, "--sha256", DIGEST, "--force", "--json", trace=False)
    assert list(faults(json.loads(run.out), SCHEMA["$defs"]["fetch"])) == []
    assert (project.root / "tool.txt").read_bytes() == TEXT
    if os.geteuid() != 0:  # root may read everything
        (project.root / "tool.txt").chmod(0)
        run = project.envy("fetch", url, "--sha256", DIGEST, code=1, trace=False)
        assert "error: tool.txt exists already" in run.err
    # What a recipe has downloaded serves offline.
    project.make(f'fetch = {{ source = "{url}", sha256 = "{DIGEST}" }}')
    words = ("fetch", url, "again", "--sha256", DIGEST, "--offline")
    assert project.envy(*words, trace=False).out.startswith("fetched again (7 B)\n")


def test_a_recipe_may_declare_sha512(project, http_server):
    """It pins a download as the other digests do: in the key, in the lock, and for the manifest."""
    http_server.routes["/tool.txt"] = Reply(TEXT)
    right = hashlib.sha512(TEXT).hexdigest()
    source = f'fetch = {{ source = "{http_server.url}/tool.txt", sha512 = "%s" }}'
    project.manifest('require_digest = true\npackages = { "local.one@r1" }\n')
    project.recipe("local.one@r1", source % right)
    run = project.envy("sync")
    assert "warning" not in run.err
    project.envy("lock", trace=False)
    assert f"sha512:{right}" in (project.root / "envy.lock").read_text()
    project.envy("sync", "--locked")
    project.recipe("local.one@r1", source % ("0" * 128))
    run = project.envy("sync", code=1)
    (project.root / "envy.lock").unlink()
    run = project.envy("sync", code=1)
    assert f"sha512 of {http_server.url}/tool.txt does not match the declared digest" in run.err
    project.recipe("local.one@r1", f'fetch = "{http_server.url}/tool.txt"')
    assert "has no digest, and the manifest says" in project.envy("sync", code=1).err


def test_repositories_folders_and_registries(project, git_repository, package_index):
    """One commit, whatever names it; a folder with everything; a wheel under its own name."""
    commit = git_repository.commit({"a": "1", "sub/b": "2"})
    git_repository.tag("v1")
    git_repository.git("push", "-q", "--tags", "origin")
    run = project.envy("git-resolve", git_repository.url, "v1", trace=False)
    assert run.out == f"{commit}\n"
    run = project.envy("git-resolve", git_repository.work_tree, "HEAD", "--json", trace=False)
    assert json.loads(run.out)["commit"] == commit
    assert list(faults(json.loads(run.out), SCHEMA["$defs"]["git_resolve"])) == []
    run = project.envy("git-resolve", git_repository.url, "v2", code=1, trace=False)
    assert "has no branch or tag v2" in run.err
    run = project.envy("fetch", git_repository.url, "--ref", "v1", trace=False)
    assert run.out.endswith(f"commit {commit}\n")
    assert tree(project.root / "tool") == {"a": "1", "sub/b": "2"}
    project.write("folder/.git/x", "1")
    project.write("folder/y", "2")
    (project.root / "folder/l").symlink_to("y")
    project.envy("fetch", "folder", "copy", trace=False)
    assert tree(project.root / "copy") == {".git/x": "1", "y": "2", "l": "-> y"}
    package_index.add("six", "six-1-py3-none-any.whl", make_wheel({"six.py": ""}))
    env = {"PIP_INDEX_URL": package_index.url}
    project.envy("fetch", "pypi:six==1", "wheels/", env=env, trace=False)
    assert (project.root / "wheels/six-1-py3-none-any.whl").is_file()


def test_mistakes_leave_nothing(project, http_server, git_repository):
    """What is wrong is said, and no part of a file stays."""
    url = f"{http_server.url_with('me', 'sesame-4711')}/x"
    http_server.routes["/x"] = Reply(TEXT)
    http_server.routes["/broken"] = Reply(TEXT, breaks_after=3)
    git_repository.commit({"a": "1"})
    os.mkfifo(project.root / "pipe")
    project.write("file", "mine")
    project.write("folder/a", "")
    before = sorted(project.root.rglob("*"))
    for words, code, message in (
        ((git_repository.url,), 2, "is a repository, and needs --ref\n"),
        ((url, "--ref", "v1"), 2, "if it is a repository, name it git+http://127.0.0.1"),
        ((url, "--sha256", "0" * 64), 1, f"expected {'0' * 64}\n  actual   {DIGEST}"),
        ((url, "--sha256", "0"), 1, "`sha256` must be 64 hexadecimal digits"),
        ((url, "file"), 1, "file exists already"),
        ((url, "file/x"), 1, "file is not a folder"),
        ((url, "--offline"), 1, "is needed, and envy works offline"),
        ((f"{http_server.url}/none",), 1, "does not exist (HTTP 404)"),
        ((f"{http_server.url}/",), 2, "does not end in a file name\n  hint: name the file that it"),
        (("gopher://x/y",), 1, 'envy does not support "gopher:"'),
        (("none",), 1, "none does not exist"),
        (("pipe", "x"), 1, "pipe is neither a file nor a folder"),
        (("folder", "folder/copy"), 2, "folder/copy is inside of folder"),
        (("pypi:six",), 1, "is not of the form pypi:NAME==VERSION"),
        ((git_repository.url, "--ref", "no"), 1, "has no branch or tag no"),
        ((f"{http_server.url}/{'n' * 300}",), 1, "File name too long"),
        ((f"{http_server.url}/x", "n" * 300), 1, "File name too long"),
    ):
        run = project.envy("fetch", *words, code=code, trace=False)
        assert message in run.err, run.err
        assert "Traceback" not in run.err
        assert "sesame" not in run.err
        assert run.out == ""
        assert sorted(project.root.rglob("*")) == before
    for words, message in (
        (("pypi:six", "v1"), "'pypi:six' is not the address of a repository"),
        (("x.git", ""), "REF is empty"),
    ):
        assert message in project.envy("git-resolve", *words, code=2, trace=False).err
