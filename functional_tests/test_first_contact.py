"""The first commands of a newcomer: `init`, `add`, `remove`, `list`, `search`, `x`."""

import hashlib
import subprocess
import sys

import pytest
from fork_server import ForkServer
from loopback.http_server import Reply
from loopback.package_index import make_wheel

RECIPE = 'identity = "%s"\noptions = { word = { type = "string", default = "a" } }\n%s\n'
TOOL = 'install = function(ctx) ctx.write("bin/tool", "#!/bin/sh\\necho tool\\n") end'
MANIFEST = """-- tools
packages = {
  'local.base@r1', -- the base
}
"""


def test_a_project_is_begun(project):
    """A manifest is created with the versions that other files ask for, and never over one."""
    project.write(".nvmrc", "v26\n")
    project.write(".tool-versions", "ninja 1.11.1 1.10\nerlang 27.0 # \x1b[31m\ngolang 1.2\n")
    project.write(".python-version", "3.12\n")
    project.write(".gitignore", "/build")
    run = project.envy("init", trace=False)
    assert run.out == ""
    assert run.err.splitlines() == [
        "created envy.lua",
        "note: .tool-versions asks for erlang 27.0: envy ships no recipe for erlang",
        "note: .tool-versions asks for go 1.2: envy.go@r1 was tested with 1.27.3",
        "added .envy/ to .gitignore",
    ]
    assert (project.root / ".gitignore").read_text() == "/build\n.envy/\n"
    text = (project.root / "envy.lua").read_text()
    assert (
        'packages = {\n  { recipe = "envy.ninja@r1", options = { version = "1.11.1" } }, '
        "-- .tool-versions\n" in text
    )
    assert (
        '  { recipe = "envy.python@r1", options = { python = "3.12" } }, -- .python-version\n'
        '  { recipe = "envy.node@r1", options = { version = "26.10.0" } }, -- .nvmrc\n}\n' in text
    )
    again = project.envy("init", code=1, trace=False)
    assert (
        again.err == "error: envy.lua exists already\n  hint: add packages to it: envy add NAME\n"
    )
    assert (project.root / "envy.lua").read_text() == text
    below = project.root / "sub"
    below.mkdir()
    (below / ".gitignore").write_text(".envy\n")
    run = project.envy("init", cwd=below, trace=False)
    assert f"note: {project.root}/envy.lua is the manifest of a folder above" in run.err
    assert (below / ".gitignore").read_text() == ".envy\n"
    (below / "envy.lua").unlink()
    (below / "envy.lua").symlink_to("nowhere.lua")
    run = project.envy("init", cwd=below, code=1, trace=False)
    assert "exists already, and is not a file" in run.err
    assert not (below / "nowhere.lua").exists()


def program(name, version):
    """Return a wheel with a program that prints its name and version."""
    folder = "ruff-1.data/scripts" if name == "ruff" else f"{name}/data/bin"
    names = (name, "ctest", "cpack") if name == "cmake" else (name,)
    files = {f"{folder}/{one}": f"#!/bin/sh\necho {one} {version}\n" for one in names}
    return make_wheel(files, executable=tuple(files))


def test_the_first_screen(project, package_index):
    """The tour of the README, with an index on loopback: from an empty folder to an upgrade.

    The versions are none that the recipes have digests of.
    """

    def publish(name, version, **fields):
        wheel = program(name, version)
        package_index.add(name, f"{name}-{version}-py3-none-any.whl", wheel, **fields)

    def envy(*words, **details):
        return project.envy(*words, env={"PIP_INDEX_URL": package_index.url}, **details)

    for name, version in (("ninja", "99.1"), ("cmake", "99.1"), ("ruff", "99.1")):
        publish(name, version)
    envy("init")
    assert "2 installed" in envy("add", "ninja@99.1", "cmake@99.1").err
    assert envy("run", "cmake", "--version").out == "cmake 99.1\n"
    envy("lock")
    assert envy("outdated").out == ""
    publish("ninja", "99.2")
    row = 'envy.ninja@r1{version="99.1"}  99.1     99.2'
    assert row in envy("outdated").out.splitlines()
    assert "wrote envy.lock" in envy("upgrade", "ninja").err
    assert envy("run", "ninja").out == "ninja 99.2\n"
    envy("sync", "--locked")
    # An index whose digest is not that of the file: everything is as it was.
    before = {name: (project.root / name).read_bytes() for name in ("envy.lua", "envy.lock")}
    publish("ninja", "99.3", digest="0" * 64)
    run = envy("add", "ninja@99.3", code=1)
    assert "0" * 64 in run.err
    assert hashlib.sha256(program("ninja", "99.3")).hexdigest() in run.err
    run = envy("add", "ninja@99.4", code=1)
    assert "envy.ninja@r1" in run.err
    assert before == {name: (project.root / name).read_bytes() for name in before}
    assert "removed envy.ninja@r1" in envy("remove", "ninja").err
    assert "ninja" not in (project.root / "envy.lock").read_text()
    assert envy("x", "ruff@99.1", "--", "--version").out == "ruff 99.1\n"


def test_packages_are_added_changed_and_removed(project):
    """Entries keep the layout; what is added is installed, and a failing install is undone."""
    project.recipe("local.base@r1", TOOL + '\ndependencies = { "local.deep@r1" }')
    project.recipe("local.deep@r1", TOOL)
    project.recipe(
        "local.extra@r1", TOOL + '\nproducts = { tool = { path = "bin/tool", kind = "file" } }'
    )
    project.recipe("local.bad@r1", 'install = "exit 3"')
    manifest = project.manifest(MANIFEST)
    run = project.envy("add", "local.extra@r1", "recipes/local.deep@r1.lua")
    assert "added local.extra@r1 to envy.lua\nadded local.deep@r1 to envy.lua\n" in run.err
    assert run.named("recipe_complete", recipe="local.extra@r1")
    added = MANIFEST.replace("}\n", "  'local.extra@r1',\n  'local.deep@r1',\n}\n")
    assert manifest.read_text() == added
    run = project.envy("add", "local.bad@r1", code=1)
    assert "local.bad@r1: install failed" in run.err
    assert "envy.lua is as it was; --no-install keeps an entry" in run.err
    assert manifest.read_text() == added
    run = project.envy("add", "local.extra@r1", trace=False)
    assert "local.extra@r1 is in envy.lua:4 already" in run.err
    project.envy("remove", "extra", "deep@r1", trace=False)
    assert manifest.read_text() == MANIFEST
    run = project.envy("remove", "deep", code=1, trace=False)
    assert run.err.startswith(
        "error: deep is not listed in envy.lua; it is a dependency of local.base@r1\n"
    )
    run = project.envy("add", "--no-install", "ninja", "lua@5.3.6", trace=False)
    assert "  'envy.ninja@r1',\n" in manifest.read_text()
    run = project.envy("add", "--no-install", "ninja@1.11.1", "lua@5.3.6", trace=False)
    assert run.err.splitlines() == [
        'changed envy.ninja@r1 to envy.ninja@r1{version="1.11.1"} in envy.lua:4',
        'envy.lua@r1{version="5.3.6"} is in envy.lua:5 already',
    ]
    assert (
        "  { recipe = 'envy.ninja@r1', options = { version = '1.11.1' } },\n"
        in manifest.read_text()
    )


MISTAKES = {
    "unknown name": (
        ("add", "ninj"),
        'none of the 25 recipes that ship with envy is "ninj"\n  hint: did you mean "ninja"?',
    ),
    "a program": (("add", "ctest"), "ctest is a program of cmake: envy add cmake"),
    "a registry": (("add", "npm:left pad"), "npm:left pad does not name a package"),
    "no such version": (
        ("add", "ninja@>=2"),
        "satisfies version = \">=2\"\n  hint: the nearest versions are 1.13.2, 1.11.1, 1.10.2.4",
    ),
    "no such choice": (("add", "lua@6"), "knows no version 6\n  hint: it has 5.5.1, 5.4.8, 5.3.6"),
    "no version": (("add", "python@3.12"), "envy.python@r1 has no option `version`"),
    "twice": (("add", "ninja", "ninja"), "ninja is named twice"),
    "the same": (("add", "ninja", "envy.ninja@r1"), "ninja and envy.ninja@r1 are the same recipe"),
    "no local recipe": (("add", "local.no@r1"), "there is no file recipes/local.no@r1.lua"),
    "empty": (("add", ""), 'none of the 25 recipes that ship with envy is ""'),
    "nothing removed": (("remove", ""), "'' does not name a package"),
    "several versions": (
        ("add", "ninja@1.13.2"),
        "envy.lua has 2 entries of envy.ninja@r1, none with version 1.13.2:\n    envy.ninja@r1{",
    ),
    "not a recipe": (("add", "./notes.lua"), "/notes.lua is not a recipe file: it has no `id"),
    "no file": (("add", "./none.lua"), "/none.lua is not a recipe file: No such file"),
    "a repository": (("add", "https://example.com/a.git"), "is a repository"),
    "not listed": (("remove", "bse"), "no package that answers to 'bse'\n  hint: did you mean"),
    "removed twice": (("remove", "one", "base{v=1}"), "one and base{v=1} are the same entry"),
    "several": (
        ("remove", "base"),
        "2 entries answer to 'base':\n    local.base@r1{v=1}, in envy.lua:2\n    local.base@r1",
    ),
    "computed": (("add", "go"), "envy cannot add this entry: more than this entry would change on"),
}  # fmt: skip


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    """A project whose manifest counts its packages."""
    from project import Project

    project = Project(tmp_path_factory.mktemp("mistakes") / "project")
    project.manifest(
        'packages = {\n  { recipe = "local.base@r1", alias = "one", options = { v = 1 } },\n'
        '  { recipe = "local.base@r1", options = { v = 2 } },\n'
        '  { recipe = "envy.ninja@r1", options = { version = "1.11.1" } },\n'
        '  { recipe = "envy.ninja@r1", options = { version = "1.10.2.4" } },\n}\n'
        'env = { N = "" .. #packages }\n'
    )
    project.recipe("local.base@r1", TOOL)
    project.write("notes.lua", "x = 1")
    return project


@pytest.fixture(scope="module")
def server():
    """Runs envy without starting Python anew."""
    with ForkServer() as server:
        yield server


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_changes_nothing(mistaken, server, case):
    """What is wrong, and what to do about it, is said; the manifest stays as it is."""
    words, message = MISTAKES[case]
    before = (mistaken.root / "envy.lua").read_bytes()
    run = server.run(words, cwd=mistaken.root, environment=mistaken.environment())
    assert run["code"] in {1, 2}
    assert message in run["err"]
    assert "Traceback" not in run["err"]
    assert (mistaken.root / "envy.lua").read_bytes() == before
    assert not mistaken.entries()


SECRET = """
local token = os.getenv("TOKEN")
%s
packages = {
  { recipe = "local.base@r1", options = { token = token } },
  { recipe = "local.base@r1", options = { token = token, v = 2 } },
}
"""


def test_variables_that_a_manifest_reads_are_not_shown(project, server):
    """A value of the environment, which may be secret, is masked in every message."""

    def messages(text, *words):
        project.manifest(text)
        environment = project.environment({"TOKEN": "sesame-4711"})
        run = server.run(words, cwd=project.root, environment=environment)
        return run["out"] + run["err"]

    for text, words, part in (
        (SECRET % "", ("remove", "base"), 'base@r1{token="***",v=2}, in envy.lua:6'),
        (SECRET % "", ("remove", "base{v=2}"), 'removed local.base@r1{token="***",v=2} from'),
        (SECRET % "", ("add", "go", "--no-install"), "added envy.go@r1 to envy.lua"),
        (SECRET % "error(token)", ("add", "go"), "error: envy.lua:3: ***"),
        (SECRET % "" + "packages = { table.unpack(packages) }", ("remove", "base{v=2}"), "***"),
    ):
        found = messages(text, *words)
        assert part in found
        assert "sesame" not in found


def test_manifests_that_cannot_be_edited(project):
    """No manifest, one with an error and a read-only one are errors of their own."""
    run = project.envy("add", "ninja", code=1, trace=False)
    assert f"hint: `envy init` creates {project.root}/envy.lua" in run.err
    project.manifest("packages = {\n  oops(,\n}\n")
    assert "error: envy.lua:2: " in project.envy("add", "ninja", code=1, trace=False).err
    project.manifest("packages = {}\n").chmod(0o444)
    for words in (("add", "ninja"), ("remove", "ninja")):
        run = project.envy(*words, code=1, trace=False)
        assert run.err.startswith("error: envy.lua is read-only\n  hint: make it writable")


def test_a_recipe_from_a_url(project, http_server):
    """Its identity and digest become an entry; a changed recipe changes the digest."""
    text = RECIPE % ("acme.tool@r1", TOOL)
    http_server.routes["/tool.lua"] = lambda _: Reply(text.encode())
    http_server.routes["/page.lua"] = lambda _: Reply(b"<html>\x1b[2J</html>")
    url = f"{http_server.url}/tool.lua"
    manifest = project.manifest("packages = { }\n")
    run = project.envy("add", url)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert manifest.read_text() == (
        f'packages = {{ {{ recipe = "acme.tool@r1", source = "{url}", sha256 = "{digest}" }} }}\n'
    )
    assert run.named("recipe_complete", recipe="acme.tool@r1")
    assert "is in envy.lua:1 already" in project.envy("add", url, trace=False).err
    text += "-- changed\n"
    run = project.envy("add", url, trace=False)
    assert "changed the digest of acme.tool@r1 in envy.lua:1" in run.err
    assert hashlib.sha256(text.encode()).hexdigest() in manifest.read_text()
    asked = http_server.paths().count("/tool.lua")
    pinned = manifest.read_text()
    manifest.write_text(f'packages = {{ {{ recipe = "acme.tool@r1", source = "{url}" }} }}')
    project.envy("sync", trace=False)
    project.recipe("local.own@r1", TOOL)
    project.envy("add", "local.own@r1", trace=False)
    # Only a sync asks for what an unpinned recipe is now.
    assert http_server.paths().count("/tool.lua") == asked + 1
    manifest.write_text(pinned)
    for path in ("page.lua", "none.lua"):
        run = project.envy("add", f"{http_server.url}/{path}", code=1, trace=False)
        assert "Traceback" not in run.err
        assert "\x1b" not in run.err
    other = http_server.url + "/other.lua"
    http_server.routes["/other.lua"] = http_server.routes["/tool.lua"]
    run = project.envy("add", other, code=1, trace=False)
    assert "acme.tool@r1 comes from elsewhere, in envy.lua:1" in run.err
    http_server.routes["/own.lua"] = Reply((RECIPE % ("acme.own@r1", TOOL)).encode())
    own = f"{http_server.url.replace('//', '//joe:sesame-123@')}/own.lua"
    run = project.envy("add", own, "--no-install", trace=False)
    assert "note: envy.lua now has the credentials of the URL" in run.err
    assert "sesame-123" not in run.err
    assert "note" not in project.envy("add", own, "--no-install", trace=False).err


def test_what_there_is_is_listed_and_searched(project, http_server):
    """The packages of the project with their state, what ships, and what registries have."""
    project.recipe(
        "local.one@r1",
        TOOL
        + """
about = { version = "1.0", license = "MIT" }
products = { tool = { path = "bin/tool", kind = "file" } }""",
    )
    project.recipe("local.two@r1", TOOL)
    project.manifest(
        'packages = { { recipe = "local.one@r1", alias = "a" }, "local.two@r1", "local.gone@r1" }'
    )
    project.envy("sync", "one", code=None, trace=False)
    run = project.envy("list", code=1, trace=False)
    assert [line.split() for line in run.out.splitlines()] == [
        ["local.one@r1", "1.0", "MIT", "installed", "tool"],
        ["local.two@r1", "not", "installed"],
        ["local.gone@r1", "failed"],
    ]
    assert "local.gone@r1" in run.err
    shipped = project.envy("list", "--shipped", cwd="/", trace=False).out
    assert ["ninja", "1.13.2", "Apache-2.0"] in [row.split()[:3] for row in shipped.splitlines()]
    found = project.envy("search", "BUILD", trace=False).out.splitlines()
    assert [line.split()[0] for line in found] == ["cmake", "meson", "ninja", "zig"]
    run = project.envy("search", "nothing-of-this", code=1, trace=False)
    assert "`envy search npm:nothing-of-this`" in run.err
    http_server.routes["/-/v1/search"] = lambda _: Reply(
        b'{"objects": [{"package": {"name": "a\\u001b[2J", "version": "1\\n2", "x": "y"}}]}'
    )
    registry = {"npm_config_registry": http_server.url_with("user", "sesame-123")}
    run = project.envy("search", "npm:a", env=registry, trace=False)
    assert run.out == "npm:a\\x1b[2J  1\\n2\n"
    del http_server.routes["/-/v1/search"]
    run = project.envy("search", "npm:a", env=registry, code=1, trace=False)
    assert "offers no search" in run.err
    assert "sesame-123" not in run.err


WARM = "import sys; from envy.cli.fast_path import answer; answer(sys.argv[1:]); print('full')"


@pytest.mark.needs("python3")
def test_a_tool_is_run_once(project, tmp_path):
    """It runs the same inside and outside of a project, and again without a full run."""
    project.manifest('packages = {} error("no part of this")')
    words = (
        "x",
        "python",
        "--",
        "-c",
        "import sys; print(sys.argv, sys.prefix); sys.exit(7)",
        "--",
    )
    run = project.envy(*words, code=7)
    assert run.out.startswith(f"['-c', '--'] {project.cache}/assets/envy.python@r1/")
    assert run.named("recipe_complete", recipe="envy.python@r1")
    again = subprocess.run(
        [sys.executable, "-c", WARM, *words],
        cwd=tmp_path,
        env=project.environment({"ENVY_MANIFEST": "/nowhere/envy.lua"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (again.returncode, again.stdout, again.stderr) == (7, run.out, "")
    words = ("x", "--program", "python3", "envy.python@r1", "-c", "print(1)")
    assert project.envy(*words, cwd=tmp_path, trace=False).out == "1\n"
    index = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple"}
    words = ("x", "--no-install", "ninja@>=1\n,<99")
    assert "not installed: envy.ninja@r1" in project.envy(*words, env=index, code=1).err
    run = project.envy("x", "--no-install", "uv", env=index, code=1, trace=False)
    assert "not installed: envy.uv@r1" in run.err
    run = project.envy("x", "uv", "--", "--version", env=index, code=1, trace=False)
    assert "envy.uv@r1: fetch failed" in run.err
    assert run.err.splitlines()[-1].startswith("x failed: ")
    project.envy("cache", "clear", "--yes", trace=False)
    assert not (project.cache / "x").exists()


TOOLS = {
    "unknown": (("x", "ninj"), 'did you mean "ninja"?'),
    "a program": (("x", "gofmt"), "gofmt is a program of go: envy x --program gofmt go"),
    "no such version": (("x", "lua@2"), "envy.lua@r1 knows no version 2"),
    "no such program": (("x", "--program", "ctset", "cmake"), 'did you mean "ctest"?'),
    "no programs": (("x", "git-hooks"), "envy.git-hooks@r1 has no program to run"),
    "nothing": (("x", "--"), "Missing argument"),
    "a path": (("x", "../ninja"), 'none of the 25 recipes that ship with envy is "../ninja"'),
}


@pytest.mark.parametrize("case", TOOLS)
def test_a_tool_that_cannot_be_run(mistaken, server, case):
    """What is wrong is said, and nothing is written."""
    words, message = TOOLS[case]
    run = server.run(words, cwd=mistaken.root, environment=mistaken.environment())
    assert run["code"] in {1, 2}
    assert message in run["err"]
    assert not (mistaken.cache / "x").exists()


def test_a_version_that_the_registry_does_not_have(project, package_index):
    """The error names the nearest, and the manifest is as it was; --no-install asks nobody."""
    for version in ("1.13.2", "1.11.1", "1.10.2.4", "1.5"):
        package_index.add("ninja", f"ninja-{version}-py3-none-any.whl", b"")
    text = "packages = {}\n"
    project.manifest(text)
    failed = project.envy("add", "ninja@1.12", env={"PIP_INDEX_URL": package_index.url}, code=1)
    assert "has no version 1.12 of ninja" in failed.err
    assert "the nearest versions: 1.13.2, 1.11.1, 1.10.2.4" in failed.err
    assert (project.root / "envy.lua").read_text() == text
    project.envy("add", "ninja@>=1.11", "--no-install")
    assert 'options = { version = ">=1.11" }' in (project.root / "envy.lua").read_text()


def test_a_tool_that_is_not_kept_offline(project):
    """The error names the command that fetches it, which needs no project."""
    failed = project.envy("--offline", "x", "ninja@1.11.1", "--", "--version", code=1)
    assert "run this once online: envy x ninja@1.11.1" in failed.err
