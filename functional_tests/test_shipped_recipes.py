"""The recipes that ship with envy: each is installed, and its program run.

Packages from registries are installed once per session, into a cache that all tests share.
"""

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
NEEDS_NPM = pytest.mark.needs("npm")
OF_NPM = {"eslint", "node", "npm", "prettier", "sqlite", "typescript"}
LIBRARIES = {"sqlite": ("sqlite3", "SQLITE_VERSION"), "zlib": ("zlib", "ZLIB_VERSION")}
PYTHON = '{ recipe = "envy.python@r1", options = { requirements = { "six==1.17.0" } } }'
PACKAGES = {
    **{
        name: f'"envy.{name}@r1"'
        for name in ("cmake", "go", "lua", "ninja", "node", "ruff", "uv", "zig")
    },
    "python": PYTHON,
}


WORDS = {
    "go": "go version",
    "typescript": "tsc --version",
    "zig": "zig version",
}  # others take --version


def known_versions():
    """Yield the name of each recipe with its known versions, as its file lists them."""
    for path in sorted(RECIPES.glob("envy.*@r1.lua")):
        name, text = path.name.removeprefix("envy.").partition("@")[0], path.read_text()
        for version in re.findall(r'^      \["([0-9.]+)"\] = \{$', text, re.MULTILINE):
            marks = [NEEDS_NPM] if name in OF_NPM else []
            yield pytest.param(name, version, id=f"{name}-{version}", marks=marks)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory, worker_id):
    """One cache for all tests of a session, removed by the last worker that uses it."""
    base = tmp_path_factory.getbasetemp()
    cache = (base if worker_id == "master" else base.parent) / "shipped-recipes-cache"
    cache.mkdir(exist_ok=True)
    with cache.with_suffix(".users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield cache
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        # For 40,000 files, rm is several times faster than shutil.
        subprocess.run(["rm", "-rf", cache], check=True)


class BareProject(Project):
    """A project on a machine that has a shell, Python and git, but no build tools."""

    def environment(self, extra=None):
        programs = self.root.parent / "programs"
        programs.mkdir(exist_ok=True)
        paths = {name: shutil.which(name) for name in ("bash", "env", "git", "node", "npm", "sh")}
        paths["python3"] = os.path.realpath(sys.executable)
        for name, path in paths.items():
            if path and not (programs / name).exists():
                (programs / name).symlink_to(path)
        return super().environment({"PATH": str(programs), **(extra or {})})


@pytest.fixture
def using(tmp_path, shared_cache):
    """Create a project on a bare machine, with the shared cache, that lists some recipes."""

    def create(*packages):
        project = BareProject(tmp_path / "bare", cache=shared_cache)
        project.manifest("packages = {\n" + "".join(f"  {row},\n" for row in packages) + "}\n")
        return project

    return create


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "words", "version"),
    [
        ("cmake", "cmake --version", r"cmake version 4\.4\.4"),
        ("go", "go version", r"go version go1\.27\.3 "),
        ("lua", "lua -v", r"Lua 5\.4\.8 "),
        ("ninja", "ninja --version", r"1\.13\.2"),
        pytest.param("node", "node --version", r"v26\.10\.0", marks=NEEDS_NPM),
        ("python", "python -c 'import six; print(six.__version__)'", r"1\.17\.0"),
        ("ruff", "ruff --version", r"ruff 0\.17\.6"),
        ("uv", "uv --version", r"uv 0\.13\.9"),
        ("zig", "zig version", r"0\.17\.1"),
    ],
)
def test_its_program_runs(using, name, words, version):
    """The program that the recipe provides is the first on PATH."""
    project = using(PACKAGES[name])
    outcome = project.envy("run", "--", "sh", "-c", words)
    assert re.match(version, outcome.out)


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "variable", "below"), [("zig", "ZIG", "zig"), ("go", "GOROOT", "")]
)
def test_its_variable_is_exported(using, name, variable, below):
    """A variable tells programs the location of the package."""
    project = using(PACKAGES[name])
    asset = Path(project.envy("asset", name).out.strip())
    value = project.envy("run", "--", "sh", "-c", f"echo ${variable}").out.strip()
    assert Path(value) == asset / below


@pytest.mark.network
@pytest.mark.parametrize(("name", "version"), list(known_versions()))
def test_a_known_version_installs_and_runs(using, name, version):
    """Each version that a recipe knows installs with its digest, and its program says it."""
    project = using(f'{{ recipe = "envy.{name}@r1", options = {{ version = "{version}" }} }}')
    if name in LIBRARIES:
        check_library(Path(project.envy("asset", name).out.strip()), *LIBRARIES[name], version)
        return
    words = WORDS.get(name, f"{name} --version").split()
    run = project.envy("run", "--", *words)
    assert ".".join(version.split(".")[:3]) in run.out
    assert "sha256" not in run.err


def check_library(folder, name, constant, version):
    """Check that the header and the file for pkg-config have the version, and name the library."""
    header = (folder / "include" / f"{name}.h").read_text()
    assert re.search(rf'#define {constant} +"{re.escape(version)}', header)
    about = (folder / "lib/pkgconfig" / f"{name}.pc").read_text()
    assert f"\nVersion: {version}\n" in about
    [library] = re.findall(r"-L\S+ -l(\w+)", about)
    assert b"!<arch>" in (folder / "lib" / f"lib{library}.a").read_bytes()[:16]
    assert str(folder) not in about


def test_every_known_version_is_tried():
    """All known versions of all recipes are tried above."""
    texts = {path.name: path.read_text() for path in RECIPES.glob("envy.*@r1.lua")}
    tried = [value.values for value in known_versions()]
    for name, text in texts.items():
        rows = re.findall(r'^ +\["([0-9.]+)"\] = \{', text, re.MULTILINE)
        assert bool(rows) == ("known = {" in text), name
        assert rows == [version for recipe, version in tried if name == f"envy.{recipe}@r1.lua"]


def test_the_default_version_is_known():
    """Recipes know the versions that they take by default."""
    known = {(value.values[0], value.values[1]) for value in known_versions()}
    for name in {name for name, _version in known}:
        text = (RECIPES / f"envy.{name}@r1.lua").read_text()
        assert (name, re.search(r'default = "([0-9.]+)"', text)[1]) in known


@pytest.mark.network
def test_a_pinned_ninja_runs_or_fails(using, tmp_path):
    """The pinned version runs, whatever is on PATH, and never another one in its place."""
    project = using('{ recipe = "envy.ninja@r1", options = { version = "1.10.2.4" } }')
    project.cache = tmp_path / "own-cache"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ninja").write_text("#!/bin/sh\necho system\n")
    (tmp_path / "bin" / "ninja").chmod(0o755)
    machine = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    assert project.envy("run", "ninja", "--version", env=machine).out.startswith("1.10.2")
    nested = project.envy("run", "sh", "-c", "ninja --version", env=machine)
    assert nested.out.startswith("1.10.2")
    program = Path(project.envy("product", "ninja").out.strip())
    program.parent.chmod(0o755)
    program.unlink()
    for words in (["run", "ninja"], ["product", "ninja"], ["run", "--no-install", "ninja"]):
        run = project.envy(*words, code=1, env=machine)
        assert 'the product ninja is "bin/ninja", which does not exist in' in run.err
        assert run.out == ""


@pytest.mark.network
def test_another_version_is_an_option(using):
    """A version without a known digest is fetched from the index."""
    project = using('{ recipe = "envy.ninja@r1", options = { version = "1.13.0" } }')
    assert project.envy("run", "--", "ninja", "--version").out.startswith("1.13.0")


@pytest.mark.network
def test_the_built_lua_has_its_licence_and_library(using):
    """The package of Lua has a working interpreter, a library to link, and the licence."""
    project = using(PACKAGES["lua"])
    asset = Path(project.envy("asset", "lua").out.strip())
    code = "print(#arg, 7 // 2, ('x'):rep(3), io.open(arg[0]))"
    project.write("code.lua", code)
    lua = subprocess.run(
        [asset / "bin/lua", "code.lua", "one"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert lua.stdout.startswith("1\t3\txxx\tfile (")
    assert "Permission is hereby granted, free of charge" in (asset / "LICENSE").read_text()
    assert (asset / "lib/liblua.a").is_file()
    assert (asset / "include/lua.h").is_file()


@pytest.mark.network
def test_a_cached_lua_needs_none_of_its_tools(using, project):
    """If the cache has only the entry of lua, a query installs nothing else."""
    using(PACKAGES["lua"]).envy("asset", "lua")
    entries = using(PACKAGES["lua"]).cache / "assets" / "envy.lua@r1"
    shutil.copytree(entries, project.cache / "assets" / "envy.lua@r1", symlinks=True)
    project.manifest(f"packages = {{ {PACKAGES['lua']} }}")
    outcome = project.envy("asset", "lua")
    assert Path(outcome.out.strip()).is_relative_to(project.cache)
    assert project.markers() == ["envy.lua@r1"]
    assert outcome.named("lua_ctx_run_start") == outcome.named("lua_ctx_fetch_start") == []


@pytest.mark.network
def test_the_second_sync_only_checks(using):
    """The second sync fetches nothing, and runs only user-managed checks."""
    rows = [row for name, row in PACKAGES.items() if name != "node"]
    project = using(*rows, '"envy.git-hooks@r1"')
    make_repository(project.root)
    project.envy("sync", "--yes")
    second = project.envy("sync", "--yes")
    assert {event["recipe"] for event in second.named("lua_ctx_run_start")} == {"envy.git-hooks@r1"}
    assert second.named("lua_ctx_fetch_start") == second.named("lua_ctx_extract_start") == []
    assert f"({len(rows)} cached" in second.err


@pytest.mark.network
def test_an_import_writes_nothing_into_python(using):
    """Every module is compiled when the package is published, for whoever imports it: even root."""
    project = using(PYTHON)
    folder = Path(project.envy("asset", "python").out.strip())
    modules = [path for path in folder.rglob("*.py") if path.parent.name != "bin"]
    assert any(path.name == "six.py" for path in modules)
    for path in modules:
        [compiled] = (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"  # a hash of the source, not checked
    before = sorted(folder.rglob("*"))
    for words in (("run", "--", "python"), ("run", "--", "python", "-O")):
        project.envy(*words, "-c", "import six", env={"PYTHONDONTWRITEBYTECODE": ""})
    assert sorted(folder.rglob("*")) == before
    project.envy("cache", "verify")


# --- python, without modules that some systems omit ----------------------------------------------


def test_python_environment_without_ensurepip(project):
    """An environment is created even where the venv module cannot install pip."""
    module = project.write("none/ensurepip.py", "raise ImportError('not on this system')\n")
    path = python_that(project, f"PYTHONPATH={module.parent} exec")
    project.packages("envy.python@r1")
    outcome = project.envy(
        "run", "--", "python", "-c", "import sys; print(sys.prefix)", env={"PATH": path}
    )
    assert outcome.out.strip() == project.envy("asset", "python", env={"PATH": path}).out.strip()


def test_python_without_venv_says_what_to_install(project):
    """Without the venv module, the error names the system package to install."""
    path = python_that(project, 'test "$2" = "import venv" && exit 1; exec')
    project.packages("envy.python@r1")
    outcome = project.envy("sync", env={"PATH": path}, code=1)
    assert "no module venv: install the system package" in outcome.err


def python_that(project, does):
    """Return a PATH whose python3 does something before it runs the Python of the tests."""
    script = f'#!/bin/sh\n{does} {sys.executable} "$@"\n'
    program = project.write("programs/python3", script, mode=stat.S_IRWXU)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


# --- git-hooks, which changes a setting of the user's clone -------------------------------------


def make_repository(root, *, inner="."):
    """Create a repository whose project, in an inner folder, has a hook in .githooks."""
    git(root, "init", "--quiet")
    hook = root / inner / ".githooks" / "pre-commit"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\necho the hook ran >&2\n")
    hook.chmod(0o755)


def git(root, *words):
    """Run git in a folder, with a fixed author."""
    user = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]
    return subprocess.run(
        ["git", *user, *words], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("inner", [".", "deep/inside"])
def test_git_hooks_run_after_a_sync(project, inner):
    """The hooks beside the manifest run, wherever in the repository the manifest is."""
    make_repository(project.root, inner=inner)
    manifest = project.write(f"{inner}/envy.lua", 'packages = { "envy.git-hooks@r1" }')
    project.envy("sync", "--yes", cwd=manifest.parent)
    assert "the hook ran" in git(project.root, "commit", "--allow-empty", "-m", "x").stderr


def test_git_hooks_of_others_are_kept(project):
    """If the repository already sets core.hooksPath, it is kept, and the error has a remedy."""
    make_repository(project.root)
    git(project.root, "config", "--local", "core.hooksPath", "elsewhere")
    project.packages("envy.git-hooks@r1")
    outcome = project.envy("sync", "--yes", code=1)
    assert "takes its hooks from elsewhere" in outcome.err
    kept = git(project.root, "config", "--local", "core.hooksPath").stdout
    assert kept.strip() == "elsewhere"


# --- all recipes --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(RECIPES.glob("envy.*@r1.lua")), ids=lambda path: path.stem)
def test_it_declares_its_licence_and_contains_no_url(path):
    """Each file is named for its identity, declares a licence, and contains no URL."""
    text = path.read_text()
    assert f'identity = "{path.stem}"' in text
    assert re.search(r'^  license = "[^"]+",$', text, re.MULTILINE)
    assert "://" not in text
