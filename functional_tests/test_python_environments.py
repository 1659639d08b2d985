"""Python environments: made by uv from a cache of wheels that all of them share."""

import json
import sys
from pathlib import Path

import pytest

UV = """
identity = "local.uv@r1"
fetch = "uv.sh"
inputs = { "uv.sh" }
stage = function(ctx) ctx.copy(ctx.fetch_dir .. "/uv.sh", "bin/uv"); ctx.chmod("bin/uv", "755") end
products = { uv = "bin/uv" }
"""
# Keeps a wheel in its cache while it may request something, and links it while it may not.
PROGRAM = """#!/bin/sh
env | grep -E '^(UV|PYTHON(HASH|PATH|HOME)|PYC|SOURCE|VIRTUAL)' | sort > "$1"
mkdir -p "$UV_CACHE_DIR/archive-v0/Ab"
test -n "$UV_OFFLINE" || echo 'six = 6' > "$UV_CACHE_DIR/archive-v0/Ab/six.py"
if test "$UV_LINK_MODE" = copy; then ln=cp; else ln=ln; fi
$ln "$UV_CACHE_DIR/archive-v0/Ab/six.py" six.py
"""
RECIPE = """
dependencies = { { recipe = "local.uv@r1", needed_by = "fetch", use = "build" } }
fetch = function(ctx) ctx.uv { "fetched.txt" }; ctx.commit_fetch("fetched.txt") end
install = function(ctx) ctx.copy(ctx.stage_dir .. "/fetched.txt", "."); ctx.uv { "made.txt" } end
"""
USER = {
    "PIP_INDEX_URL": "file:///index/simple",
    "PIP_EXTRA_INDEX_URL": "https://name:hidden@more.invalid/simple",
    "UV_INDEX_URL": "file:///other",
    "UV_CACHE_DIR": "/nowhere",
    "UV_HTTP_TIMEOUT": "7",
    "VIRTUAL_ENV": "/mine",
    "PYTHONPATH": "/mine",
}


def settings(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_what_uv_is_told(project):
    """uv gets envy's cache and the indexes of pip, and nothing of the user's but the network."""
    project.recipe("local.uv@r1", UV)
    project.write("recipes/uv.sh", PROGRAM)
    project.recipe("local.env@r1", RECIPE)
    project.recipe("local.own@r1", f"writable = true\n{RECIPE}")
    project.packages("local.env@r1", "local.own@r1")
    run = project.envy("sync", env=USER)
    assert "hidden" not in run.err
    assert "hidden" not in json.dumps(run.events)
    folder = run.folder("local.env@r1")
    expected = {
        "UV_CACHE_DIR": f"{project.cache}/uv",
        "UV_DEFAULT_INDEX": "file:///index/simple",
        "UV_INDEX": "https://name:hidden@more.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_LINK_MODE": "hardlink",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON_PREFERENCE": "only-system",
        "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532800",
    }
    fetched, made = settings(folder / "fetched.txt"), settings(folder / "made.txt")
    assert fetched == {**expected, "UV_HTTP_TIMEOUT": "7"}
    assert made == {**expected, "UV_OFFLINE": "1"}
    damaged_and_repaired(project, folder / "six.py", run.folder("local.own@r1") / "six.py")


def damaged_and_repaired(project, module, own):
    """A damaged file of a wheel does not come back; a writable package has its own."""
    wheel = project.cache / "uv" / "archive-v0" / "Ab" / "six.py"
    assert wheel.samefile(module)
    assert not wheel.samefile(own)
    sizes = json.loads(project.envy("cache", "--json", trace=False).out)
    assert "uv" in sizes["rest"]
    module.chmod(0o644)
    module.write_text("evil")
    module.chmod(0o444)
    run = project.envy("cache", "verify", "--repair", env=USER)
    assert "six.py: changed" in run.out
    assert module.read_text() == own.read_text() == wheel.read_text() == "six = 6\n"


def test_uv_without_a_uv(project):
    """A recipe without such a dependency is told what it lacks, and where."""
    run = project.sync_one('install = function(ctx) ctx.uv { "pip" } end', code=1)
    assert "recipes/local.one@r1.lua:2" in run.err
    assert "ctx.product('uv')" in run.err
    run = project.sync_one("install = function(ctx) ctx.uv { 1 } end", code=1)
    assert "ctx.uv: argument 1 is a number, and must be a string" in run.err


def environment(*requirements, more=""):
    listed = ", ".join(f'"{line}"' for line in requirements)
    options = f"requirements = {{ {listed} }}, {more}"
    return f'packages = {{ {{ recipe = "envy.python@r1", options = {{ {options} }} }} }}\n'


FOUR = ("attrs==25.3.0", "idna==3.10", "iniconfig==2.1.0", "six==1.17.0")


@pytest.mark.network
def test_environments_share_their_packages(project):
    """Another environment downloads what is new; two cold caches have equal packages."""
    project.manifest(environment(*FOUR))
    first = project.envy("sync").folder("envy.python@r1")
    project.manifest(environment(*FOUR, "packaging==25.0"))
    project.envy("sync")
    second = Path(project.envy("asset", "python").out.strip())
    for folder in (first, second):
        [module] = folder.glob("lib/python3*/site-packages/six.py")
        assert module.samefile(next(first.glob("lib/python3*/site-packages/six.py")))
        [compiled] = folder.glob("lib/python3*/site-packages/__pycache__/six.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"
    before = tree_of(second)
    code = "import six, packaging; print(six.__file__)"
    run = project.envy("run", "python", "-c", code, env={"PYTHONDONTWRITEBYTECODE": ""})
    assert run.out.startswith(str(second))
    assert tree_of(second) == before
    assert "0 damaged" in project.envy("cache", "verify").out
    fingerprint = (second.parent / "envy-fingerprint.blake3").read_bytes()
    project.envy("cache", "clear", trace=False)
    assert not (project.cache / "uv").exists()
    project.envy("sync")
    assert (second.parent / "envy-fingerprint.blake3").read_bytes() == fingerprint


def tree_of(folder):
    return sorted(folder.rglob("*"))


@pytest.mark.network
def test_requirements_with_digests_and_of_this_machine(project):
    """Lines with digests are not resolved again; files are refused; an interpreter is asked for."""
    digest = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    bad = f"six==1.17.0 --hash=sha256:{'0' * 64}"
    project.manifest(environment(bad))
    assert "Hash mismatch" in project.envy("sync", code=1).err
    project.manifest(
        environment(f"six==1.17.0 --hash=sha256:{digest}", more=f'python = "{version}"')
    )
    run = project.envy("sync")
    words = [event["command"] for event in run.named("lua_ctx_run_start")]
    assert not any(" compile " in word for word in words)
    assert any(word.startswith(f"python{version} ") for word in words)
    for line in (
        "./a",
        "six @ file:///mine",
        "--find-links here",
        "-e .",
        "/a/b.whl",
        "x @ ../x",
        "six==1.17.0\\n-e .",
    ):
        project.manifest(environment(line))
        run = project.envy("sync", code=1)
        last = line.rpartition("\\n")[2]
        assert f'"{last}" takes packages from a folder of this machine' in run.err
    project.manifest(environment("-r /a/b.txt"))
    run = project.envy("sync", code=1)
    assert '"-r /a/b.txt" includes a file of this machine' in run.err
    project.manifest(environment(more='python = "2.9"'))
    assert "python2.9, which is not on the PATH" in project.envy("sync", code=1).err
