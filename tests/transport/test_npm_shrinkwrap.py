"""Releases of npm with the packages that they pin themselves: `shrinkwrap = true`."""

import base64
import hashlib
import json
import os

import pytest
from loopback.npm_registry import make_npm_tarball

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.errors import ArchiveError, DeclarationError, FetchError
from envy.host.platform import Platform
from envy.limits import adopt_limits
from envy.transport import fetch_all, fetch_source
from envy.transport.context import Offline
from envy.transport.npm_shrinkwrap import pinned_packages, programs_of
from envy.transport.npm_tree import link_programs

LINUX = Platform(os="linux", arch="x86_64", libc="gnu")


def integrity(content):
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def dependency(name, files=None):
    return make_npm_tarball({"package.json": f'{{"name": "{name}"}}', **(files or {})})


A, B, B2 = dependency("a", {"cli.js": "#!"}), dependency("@s/b"), dependency("b2", {"x/y": "2"})
RELEASES = {"a": ("1.0.0", A), "@s/b": ("2.0.0", B), "b2": ("2.1.0", B2)}


def pinned(name, /, **fields):
    version, content = RELEASES[name]
    return {"version": version, "integrity": integrity(content), **fields}


PACKAGES = {
    "": {"name": "tool", "version": "1.0.0"},
    "node_modules/a": pinned("a", bin={"a": "cli.js", "../x": "cli.js", "gone": "none.js"}),
    "node_modules/@s/b": pinned("@s/b", resolved="https://elsewhere.invalid/b.tgz", bin="cli"),
    "node_modules/a/node_modules/alias": pinned("b2", name="b2", hasInstallScript=True),
    "node_modules/win": {"version": "1.0.0", "integrity": "sha512-AAAA", "optional": True,
                         "os": ["win32"]},
    "node_modules/win/node_modules/z": {"version": "1.0.0", "integrity": "sha512-AAAA"},
    "node_modules/musl": {"version": "1.0.0", "integrity": "sha512-AAAA", "optional": True,
                          "os": ["linux"], "cpu": ["!arm64"], "libc": "musl"},
    "node_modules/dev": {"version": "1.0.0", "dev": True},
    "node_modules/own": {"version": "1.0.0", "inBundle": True},
}  # fmt: skip
FORMAT_1 = {
    "a": pinned("a", dependencies={"alias": {"version": "npm:b2@2.1.0",
                                             "integrity": integrity(B2)}}),
    "@s/b": pinned("@s/b"),
    "dev": {"version": "git+ssh://x", "dev": True, "dependencies": {"c": 1}},
    "own": {"version": "1.0.0", "bundled": True},
}  # fmt: skip


@pytest.fixture
def fetch(npm_registry, recorder, tmp_path):
    """Publish a release with a shrinkwrap, and fetch it."""
    for name, (version, content) in RELEASES.items():
        npm_registry.add(name, version, content)

    def fetch(packages=None, *, text=None, files=None, context=None, variables=None, **fields):
        shrinkwrap = text or json.dumps({"lockfileVersion": 3, "packages": packages or PACKAGES})
        about = {"package.json": '{"bin": {"tool": "cli.js"}}', "cli.js": "#!"}
        release = {**about, "npm-shrinkwrap.json": shrinkwrap, **(files or {})}
        release = {name: content for name, content in release.items() if content}
        npm_registry.add("tool", "1.0.0", make_npm_tarball(release))
        item = SourceItem(source="npm:tool@1.0.0", base_dir=tmp_path, shrinkwrap=True, **fields)
        variables = {"npm_config_registry": npm_registry.url, **(variables or {})}
        context = recorder.context(variables, platform=LINUX, **(context or {}))
        return fetch_source(item, tmp_path / "into", context)

    yield fetch
    assert {path.name for path in (tmp_path / "into").iterdir()} <= {"tool-1.0.0"}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): str(path.readlink()) if path.is_symlink() else ""
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_the_tree(fetch, recorder, http_server):
    """What the release needs lies where npm would put it; what is for others is left out."""
    fetched = fetch()
    assert (fetched.path.name, fetched.verified, fetched.sha256) == ("tool-1.0.0", True, "")
    assert contents(fetched.path) == {
        "package.json": "",
        "npm-shrinkwrap.json": "",
        "cli.js": "",
        "node_modules/.bin/a": "../a/cli.js",
        "node_modules/a/package.json": "",
        "node_modules/a/cli.js": "",
        "node_modules/a/node_modules/alias/package.json": "",
        "node_modules/a/node_modules/alias/x/y": "",
        "node_modules/@s/b/package.json": "",
    }
    assert os.access(fetched.path / "cli.js", os.X_OK)
    assert os.access(fetched.path / "node_modules/.bin/a", os.X_OK)
    [warning] = recorder.warnings
    assert "install scripts, which are not run: b2" in warning
    assert "/@s/b/-/b-2.0.0.tgz" in http_server.paths()


def test_the_first_format(fetch):
    """The format of npm 6 is read, too."""
    fetched = fetch(text=json.dumps({"lockfileVersion": 1, "dependencies": FORMAT_1}))
    assert (fetched.path / "node_modules/a/node_modules/alias/x/y").read_text() == "2"
    assert (fetched.path / "node_modules/@s/b/package.json").is_file()
    assert not (fetched.path / "node_modules/own").exists()


def test_kept_tarballs(fetch, tmp_path, http_server):
    """What was fetched once is taken from the cache, offline, too."""
    (tmp_path / "cache").mkdir()
    kept = Downloads(str(tmp_path / "cache"))
    fetch(context={"kept": kept})
    http_server.requests.clear()
    fetched = fetch(context={"kept": kept, "offline": True}, variables={"npm_config_registry": ""})
    assert (fetched.path / "node_modules/a/cli.js").is_file()
    assert not http_server.requests
    for path in (tmp_path / "cache/downloads/sha512").glob("*"):
        if path.read_bytes() == A:
            path.unlink()
    for path in (tmp_path / "cache/downloads/sha256").glob("*"):
        if path.read_bytes() == A:
            path.unlink()
    with pytest.raises(Offline, match=r"a@1\.0\.0, which npm:tool@1\.0\.0 pins, is needed"):
        fetch(context={"kept": kept, "offline": True})


def changed(path="node_modules/a", **fields):
    return {path: {**PACKAGES["node_modules/a"], **fields}}


@pytest.mark.parametrize(
    ("packages", "says"),
    [
        (changed(integrity=integrity(B)), "is not what the npm-shrinkwrap.json says"),
        (changed(integrity=""), "has no integrity for node_modules/a"),
        (changed(integrity="md5-x"), "an integrity for node_modules/a that is none: md5-x"),
        (changed(integrity=["x"]), "that is none"),
        (changed(version="9.9.9"), "/a/-/a-9.9.9.tgz does not exist"),
        (changed(version="../1"), "node_modules/a, which is no release of a registry"),
        (changed(name="../../x"), "which is no release of a registry"),
        (changed(resolved="git+ssh://git@h/x.git"), "which is no release of a registry"),
        (changed(resolved="file:///etc/passwd"), "which is no release of a registry"),
        (changed(resolved="http://[/x"), "which is no release of a registry"),
        (changed(resolved=["x"]), "which is no release of a registry"),
        (changed(resolved="http://h/\ud800"), "which is no release of a registry"),
        (changed(version={}, bin=[1], os=1, name=[]), "no release"),
        (changed(link=True), "which is no release of a registry"),
        (changed(os=["darwin"]), "needs a@1.0.0, which is not for linux-x86_64"),
        (changed("node_modules/../../x"), "in a place that is none of npm's"),
        (changed("/etc/x"), "in a place that is none of npm's"),
        (changed("node_modules/a/b"), "in a place that is none of npm's"),
        (changed("node_modules/.."), "in a place that is none of npm's"),
        (changed("node_modules/@s/.."), "in a place that is none of npm's"),
        (changed("packages/x"), "in a place that is none of npm's"),
        ({"node_modules/a": 1}, "is not a list of packages"),
    ],
)  # fmt: skip
def test_hostile_pins(fetch, tmp_path, packages, says):
    """A pin that cannot be right is an error, and nothing is left."""
    with pytest.raises(FetchError) as caught:
        fetch(packages)
    assert says in str(caught.value)
    assert not (tmp_path / "into" / "tool-1.0.0").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no npm-shrinkwrap.json, so it does not say which packages it needs"),
        ("{", "cannot be read"),
        ("[]", "is not a list of packages"),
        ('{"packages": []}', None),
        ('{"dependencies": []}', "is not a list of packages"),
        ("[" * 5000, "cannot be read"),
    ],
)
def test_no_shrinkwrap(fetch, text, says):
    """Without a list of packages that can be read, the error says what to do."""
    if says is None:  # nothing is needed
        assert fetch(text=text).verified
        return
    with pytest.raises(FetchError, match=says) as caught:
        fetch(text=text, files={} if text else {"npm-shrinkwrap.json": ""})
    assert "envy.npmtool" in caught.value.hint or "cannot be read" in says


def test_limit(fetch):
    """More packages than the limit are an error that names it."""
    adopt_limits({"npm-packages": 2})
    try:
        with pytest.raises(FetchError, match="the limit npm-packages"):
            fetch()
    finally:
        adopt_limits({})


def test_what_the_release_brings(fetch, tmp_path):
    """A release may neither bring what its pins name, nor lead them elsewhere by a link."""
    with pytest.raises(FetchError, match="brings node_modules/a, and its npm-shrinkwrap"):
        fetch(files={"node_modules/a/x": "1"})
    outside = tmp_path / "outside"
    outside.mkdir()
    fetched = fetch(files={"node_modules/.bin": "1"})
    assert (fetched.path / "node_modules/.bin").read_text() == "1"


def test_a_link_out(npm_registry, fetch, tmp_path, monkeypatch):
    """A link in a tarball that leads outside is refused, before anything goes through it."""
    import io
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("package/node_modules")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        text = json.dumps({"packages": PACKAGES}).encode()
        info = tarfile.TarInfo("package/npm-shrinkwrap.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    real_add = npm_registry.add

    def add(name, version, content, **fields):
        real_add(name, version, stream.getvalue() if name == "tool" else content, **fields)

    monkeypatch.setattr(npm_registry, "add", add)
    with pytest.raises((FetchError, ArchiveError)):
        fetch()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "fields", [{"strip": 1}, {"subdir": "x"}, {"extract": False}, {"exclude": ("x",)}]
)
def test_fields_that_mean_nothing(fetch, tmp_path, fields):
    """A field for archives is refused: the release becomes a folder."""
    (tmp_path / "into").mkdir()
    with pytest.raises(DeclarationError, match="cannot be used with shrinkwrap = true"):
        fetch(**fields)


def test_several_at_once(fetch, npm_registry, recorder, tmp_path):
    """Two releases are fetched beside each other, with what both need."""
    fetch()
    text = json.dumps({"packages": {"node_modules/a": pinned("a")}})
    other = make_npm_tarball({"package.json": "{}", "npm-shrinkwrap.json": text})
    npm_registry.add("other", "1.0.0", other)
    items = [
        SourceItem(source=f"npm:{name}@1.0.0", base_dir=tmp_path, shrinkwrap=True, dest=dest)
        for name, dest in (("tool", ""), ("other", ""), ("other", "again"), ("tool", "more"))
    ]
    context = recorder.context({"npm_config_registry": npm_registry.url}, platform=LINUX)
    fetched = fetch_all(items, tmp_path / "all", context, parallel=4)
    names = ["tool-1.0.0", "other-1.0.0", "again", "more"]
    assert [each.path.name for each in fetched] == names
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == sorted(names)
    assert all((each.path / "node_modules/a/cli.js").is_file() for each in fetched)


@pytest.mark.parametrize("to", ["a\0b", "\ud800", "a\nb", "x" * 300, "../../../out", 3, None])
def test_programs_that_are_no_paths(tmp_path, to):
    """They are left out, as npm does not link them, either."""
    package = tmp_path / "node_modules" / "a"
    package.mkdir(parents=True)
    (package / "run.js").write_text("")
    programs = programs_of({"bad": to, "good": "run.js", "n" * 300: "run.js"}, "a")
    document = {"packages": {"node_modules/a": pinned("a", bin={"bad": to, "good": "run.js"})}}
    [found] = pinned_packages(document, uri="u")
    assert found.programs == {name: text for name, text in programs.items() if len(name) < 9}
    (tmp_path / "package.json").write_text(json.dumps({"bin": {"x": to}}))
    link_programs(tmp_path, [found])
    assert [path.name for path in (tmp_path / "node_modules/.bin").iterdir()] == ["good"]
