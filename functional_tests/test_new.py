"""`envy new`: a recipe of every kind, which `envy sync` and `envy run` take as it is."""

import json
import re

import pytest
from archives import COMPRESSIONS, make_archive, make_tar
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_wheel

SCRIPT = "#!/bin/sh\necho tool: $*\n"
MAIN = '#include <stdio.h>\nint main(void) { puts("built"); return 0; }\n'
CMAKE = """cmake_minimum_required(VERSION 3.13)
project(built LANGUAGES C)
add_executable(built main.c)
install(TARGETS built RUNTIME DESTINATION bin)
"""
CONFIGURE = '#!/bin/sh\necho "prefix=${1#--prefix=}" > config.mk\n'
MAKEFILE = "built: main.c\n\tcc -o built main.c\n"
INSTALL = "install: built\n\tmkdir -p $(prefix)/bin\n\tcp built $(prefix)/bin\n"
# In place of one that ships with envy: the program of this machine.
OF_MACHINE = """identity = "envy.%(name)s@r1"
host = { "%(name)s" }
install = function(ctx)
  local found = ctx.run("command -v %(name)s", { capture = true, quiet = true })
  ctx.write("bin/%(name)s", "#!/bin/sh\\nexec " .. found.stdout:match("%%S+") .. ' "$@"\\n')
  ctx.chmod("bin/%(name)s", "755")
end
products = { ["%(name)s"] = "bin/%(name)s" }
exports = { path = { "bin" } }
"""
UV = """identity = "envy.uv@r1"
local UV = [[
#!/bin/sh
test "$1" = venv && mkdir -p bin && printf '#!/bin/sh\\necho python\\n' > bin/python
test "$1" = venv && chmod +x bin/python && cp bin/python bin/python3
test "$2" = compile && echo "$(cat requirements.in) --hash=sha256:0" > requirements.txt
echo "$@"
]]
install = function(ctx) ctx.write("bin/uv", UV); ctx.chmod("bin/uv", "755") end
products = { uv = "bin/uv" }
"""


def instead_of(project, **texts):
    """Let packages that ship with envy be others."""
    rows = []
    for name, text in texts.items():
        project.write(f"recipes/{name}.lua", text)
        rows.append(f'["envy.{name}@r1"] = {{ source = "recipes/{name}.lua" }}')
    project.manifest("packages = {}\noverrides = { " + ", ".join(rows) + " }\n")


def test_programs_that_are_downloaded(project, http_server, tmp_path):
    """Archives and programs, and what needs no download: each works at once."""
    files = {"tool-1/bin/tool*": SCRIPT, "tool-1/bin/other*": SCRIPT, "tool-1/README": "x"}
    http_server.routes["/tool.tar.gz"] = Reply(make_archive("tool.tar.gz", files))
    http_server.routes["/"] = Reply(make_archive("flat.zip", {"a/run": SCRIPT, "b": "x"}))
    http_server.routes["/one-linux"] = Reply(SCRIPT.encode())
    http_server.routes["/two.gz"] = Reply(COMPRESSIONS["gz"](SCRIPT.encode()))
    manifest = project.manifest("-- mine\npackages = {\n}\n")
    (tmp_path / "local.tar").write_bytes(make_tar({"local*": SCRIPT}))
    for words in (
        ("archive", "tool", "--url", f"{http_server.url}/tool.tar.gz"),
        ("archive", "flat", "--url", f"{http_server.url}/?id=1", "--program", "a/run"),
        ("archive", "local", "--url", "../local.tar"),
        ("binary", "one", "--url", f"{http_server.url}/one-linux"),
        ("binary", "two", "--url", f"{http_server.url}/two.gz"),
        ("product", "own"),
        ("user-managed", "setting"),
        ("user-managed", "mine", "--check", "test -f 'a b'", "--install", "touch 'a b'"),
    ):
        run = project.envy("new", *words, trace=False)
        identity = f"local.{words[1]}@r1"
        created = f"created recipes/{identity}.lua\ncreated recipes/{identity}_test.lua\n"
        assert f"{created}added {identity} to envy.lua\n" in run.err
        assert identity in manifest.read_text()
    text = (project.root / "recipes/local.tool@r1.lua").read_text()
    assert re.search(r'sha256 = "[0-9a-f]{64}"', text)
    assert 'products = { other = "bin/other", tool = "bin/tool" }' in text
    assert "<<" not in text
    run = project.envy("sync", "--yes")
    assert "warning" not in run.err
    for name, said in {
        "tool": "tool: x",
        "run": "tool: x",
        "local": "tool: x",
        "one": "tool: x",
        "two": "tool: x",
        "own": "own: x",
    }.items():
        assert project.envy("run", name, "x", trace=False).out == f"{said}\n"
    assert (project.root / "setting.conf").exists()
    assert (project.root / "a b").exists()
    # Each has its first tests, which pass.
    tested = project.envy("test", "recipes", trace=False)
    assert "13 passed, 0 failed, 0 skipped in 8 packages" in tested.out


@pytest.mark.needs("cc")
@pytest.mark.parametrize(
    ("kind", "files"),
    [
        pytest.param(
            "cmake",
            {"CMakeLists.txt": CMAKE},
            marks=[pytest.mark.needs("cmake"), pytest.mark.needs("ninja")],
        ),
        pytest.param("make", {"Makefile": MAKEFILE + INSTALL}, marks=pytest.mark.needs("make")),
        pytest.param("make", {"Makefile": MAKEFILE}, marks=pytest.mark.needs("make")),
        pytest.param(
            "autotools",
            {"configure*": CONFIGURE, "Makefile": "include config.mk\n" + MAKEFILE + INSTALL},
            marks=pytest.mark.needs("make"),
        ),
    ],
)
def test_programs_that_are_built(project, http_server, kind, files):
    """The source is found in the top folder, and its program is installed."""
    named = {f"top/{name}": text for name, text in {**files, "main.c": MAIN}.items()}
    http_server.routes["/src.tar.xz"] = Reply(make_archive("src.tar.xz", named))
    tools = ("cmake", "ninja") if kind == "cmake" else ()
    instead_of(project, **{name: OF_MACHINE % {"name": name} for name in tools})
    words = ("--url", f"{http_server.url}/src.tar.xz", "--program", "built")
    project.envy("new", kind, "thing", *words, trace=False)
    assert "1 passed, 0 failed" in project.envy("test", trace=False).out
    assert project.envy("run", "built", trace=False).out == "built\n"


def test_a_library_of_a_repository(project, git_repository):
    """The commit is written in place of the tag."""
    commit = git_repository.commit({"Makefile": "all:\ninstall:\n\tcp a.h $(PREFIX)\n", "a.h": ""})
    git_repository.tag("v1")
    git_repository.git("push", "-q", "--tags", "origin")
    project.manifest("packages = {}\n")
    words = ("--library", "--url", git_repository.url, "--ref", "v1")
    project.envy("new", "make", "a", *words, trace=False)
    text = (project.root / "recipes/local.a@r1.lua").read_text()
    assert f'ref = "{commit}"' in text
    assert "products" not in text
    assert "1 passed, 0 failed" in project.envy("test", trace=False).out


def test_a_python_environment(project, package_index):
    """Requirements get versions, and uv is told what it needs."""
    package_index.add("six", "six-1.17.0-py3-none-any.whl", make_wheel({"six.py": ""}))
    env = {"PIP_INDEX_URL": package_index.url}
    instead_of(project, uv=UV)
    words = ("--requirement", "six", "--requirement", "idna>=3")
    project.envy("new", "venv", "py", *words, env=env, trace=False)
    text = (project.root / "recipes/local.py@r1.lua").read_text()
    assert 'REQUIREMENTS = { "six==1.17.0", "idna>=3" }' in text
    assert "1 passed, 0 failed" in project.envy("test", trace=False).out
    assert project.envy("run", "python", env=env, trace=False).out == "python\n"


@pytest.mark.needs("npm")
def test_a_program_of_npm(project, npm_registry):
    """The newest release of the package, with its lock."""
    programs = {"thing": "cli.js"}
    package = {
        "package.json": json.dumps({"name": "thing", "version": "2.0.0", "bin": programs}),
        "cli.js": "#!/usr/bin/env node\nconsole.log('thing')\n",
    }
    npm_registry.add("thing", "2.0.0", make_npm_tarball(package), programs=programs)
    env = {"npm_config_registry": npm_registry.url}
    instead_of(project, **{name: OF_MACHINE % {"name": name} for name in ("node", "npm")})
    project.envy("new", "npm", "it", "--package", "thing", env=env, trace=False)
    assert "1 passed, 0 failed" in project.envy("test", trace=False).out
    assert '"thing@2.0.0"' in (project.root / "recipes/local.it@r1.lua").read_text()
    assert project.envy("run", "thing", env=env, trace=False).out == "thing\n"


def test_mistakes_leave_nothing(project, http_server):
    """Each says what is wrong and what to do; there is no recipe and no entry."""
    url = http_server.url
    http_server.routes["/page"] = Reply(b"<!doctype html>")
    http_server.routes["/text.tar.gz"] = Reply(b"text")
    http_server.routes["/src.tar"] = Reply(make_tar({"a/b": "x", "a/c": "y"}))
    run = project.envy("new", "product", "a", code=1, trace=False)
    assert "`envy init` creates" in run.err
    manifest = project.manifest("packages = {}\n")
    for words, code, message in (
        (("docker", "a"), 2, "'docker' is not one of 'archive', 'binary'"),
        (("product", "../a"), 2, "'../a' is not a valid name of a recipe"),
        (("product", "a@r1"), 2, "'a@r1' is not a valid name of a recipe"),
        (("archive", "a"), 2, "needs --url\n  hint: envy new archive a --url URL"),
        (("venv", "a", "--url", url), 2, "--url is not for recipes of the kind venv"),
        (("make", "a", "--url", f"{url}/x", "--ref", "v1"), 2, "--ref is for repositories"),
        (("venv", "a", "--requirement", "-r x.txt"), 2, "is not a requirement of a package"),
        (("archive", "a", "--url", f"{url}/none.zip"), 1, "/none.zip does not exist (HTTP 404)"),
        (("archive", "a", "--url", "npm:a@1"), 2, "is a package of a registry"),
        (("archive", "a", "--url", f"{url}/page"), 1, "/page is not an archive"),
        (("archive", "a", "--url", f"{url}/text.tar.gz"), 1, f"{url}/text.tar.gz is not an arch"),
        (("archive", "a", "--url", f"{url}/src.tar"), 1, "no file that is marked as a program"),
        (("archive", "a", "--url", f"{url}/src.tar", "--program", "z"), 1, "has no file z"),
        (("binary", "a", "--url", f"{url}/page"), 1, "neither a program of this kind"),
        (("binary", "a", "--url", f"{url}/src.tar"), 1, "is an archive"),
        (("cmake", "a", "--url", f"{url}/src.tar"), 1, "no CMakeLists.txt in its top folder"),
        (("archive", "a", "--url", f"{url}/src.tar", "--offline"), 1, "envy works offline"),
    ):
        run = project.envy("new", *words, code=code, trace=False)
        assert message in run.err, run.err
        assert manifest.read_text() == "packages = {}\n"
        assert not list((project.root).glob("recipes/*"))
    project.recipe("local.a@r1", "-- mine")
    run = project.envy("new", "product", "a", code=1, trace=False)
    assert "recipes/local.a@r1.lua exists already" in run.err
    manifest.write_text("local rows = {}\npackages = rows\n")
    run = project.envy("new", "product", "b", trace=False)
    assert 'add this line to `packages` in envy.lua: "local.b@r1",\n' in run.err
    assert (project.root / "recipes/local.b@r1.lua").exists()
