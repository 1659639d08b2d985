"""The downloads that the cache keeps, and `--offline`, which needs nothing else."""

import hashlib
import json
import os
import random
import shutil
import subprocess

import pytest
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_sdist, make_wheel
from project import tree
from test_cache_commands import disk_usage
from test_offline import DOWN, RECIPE, entry, write_manifest
from test_warm import is_warm

ARCHIVE = make_sdist("x", {"a": "1"})
DATA = b"data"
WHEEL = make_wheel({"tool-1.0.data/scripts/tool": "x"})
TARBALL = make_npm_tarball({"package.json": "{}"})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def offline():
    """Options that keep a command offline, and the prefix that leaves it no network at all."""
    words = ("unshare", "--net", "--map-root-user")
    if shutil.which("unshare") is None:
        pytest.skip("needs the program unshare")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare may not create network namespaces here")
    return {"under": words, "env": {"ENVY_OFFLINE": "1"}}


def fetch_of(url, name, content, **fields):
    """Return a source of a recipe, with its digest."""
    rows = "".join(f", {field} = {value}" for field, value in fields.items())
    return f'{{ source = "{url}/{name}", sha256 = "{sha256(content)}"{rows} }}'


def remove(project, *entries):
    """Remove entries of the cache."""
    project.envy("cache", "rm", *entries, trace=False)


def test_a_project_without_a_network(
    project, http_server, package_index, npm_registry, git_repository, offline
):
    """Everything that was verified once is installed again, and everything else is an error."""
    http_server.routes |= {
        "/x.tar.gz": Reply(ARCHIVE),
        "/data": Reply(DATA),
        "/tool.lua": Reply(RECIPE.format("one").encode()),
        "/lib.lua": Reply(b'identity = "vendor.lib@v1"\ninstall = "echo > lib"\n'),
    }
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    npm_registry.add("tool", "1.0.0", TARBALL)
    git_repository.commit({"recipe.lua": 'identity = "vendor.git@v1"\ninstall = "echo > git"\n'})
    served = git_repository.served_by(http_server)
    library = (http_server.routes["/lib.lua"]).body
    write_manifest(
        project,
        '"local.all@r1"',
        entry(f"{http_server.url}/tool.lua"),
        f'{{ recipe = "vendor.lib@v1", source = "{http_server.url}/lib.lua", '
        f'sha256 = "{sha256(library)}" }}',
        f'{{ recipe = "vendor.git@v1", source = "{served}", ref = "main" }}',
    )
    sources = ", ".join([
        fetch_of(http_server.url, "x.tar.gz", ARCHIVE),
        fetch_of(http_server.url, "data", DATA, executable="true"),
        f'{{ source = "pypi:tool==1.0", sha256 = "{sha256(WHEEL)}", into = "wheel" }}',
        '{ source = "npm:tool@1.0.0", into = "npm" }',
    ])  # fmt: skip
    project.recipe("local.all@r1", f"fetch = {{ {sources} }}")
    named = {"PIP_INDEX_URL": package_index.url, "npm_config_registry": npm_registry.url}
    first = project.envy("sync", env=named).folder("local.all@r1")
    before = tree(first)
    asked = len(http_server.paths())

    # Warm, in full, and after everything but the downloads and the last resolutions was removed.
    offline["env"] |= named
    assert is_warm(project, "asset", "--offline", "all")
    for words in (("sync",), ("asset", "--no-install", "all"), ("run", "--", "true"), ("plan",)):
        project.envy(*words, **offline)
    remove(project, "all", "tool", "lib", "git")
    for folder in project.cache.glob("recipes/vendor.lib*"):
        shutil.rmtree(folder)
    run = project.envy("sync", **offline)
    assert tree(run.folder("local.all@r1")) == before
    for name in (f"{http_server.url}/tool.lua", served):
        assert f"{name} is needed, and envy works offline" in run.err  # a warning
    doctor = project.envy("doctor", trace=False, code=None, **offline).out
    assert any(row.split()[:2] == ["offline", "yes"] for row in doctor.splitlines())

    # The first thing that is missing is named, with where it is declared and what to do.
    project.recipe("local.all@r1", f'\nfetch = "{http_server.url}/new"')
    run = project.envy("sync", "--offline", code=1)
    assert (
        f"recipes/local.all@r1.lua:3: {http_server.url}/new is needed, and envy works offline"
    ) in run.err
    assert "local.all@r1: fetch failed" in run.err
    assert "once online: envy sync local.all@r1; a download without a digest is not" in run.err
    project.recipe("local.all@r1", f'fetch = function(ctx) ctx.fetch("{http_server.url}/new") end')
    assert "/new is needed, and envy works offline" in project.envy("sync", code=1, **offline).err
    assert len(http_server.paths()) == asked
    maybe = project.envy("sync", env={"ENVY_OFFLINE": "maybe"}, code=2)
    assert "ENVY_OFFLINE is 'maybe', which is neither yes nor no" in maybe.err


def test_scripts_are_told(project):
    """The usual tools refuse to request anything; the entry key is the same as online."""
    names = ("ENVY_OFFLINE", "CARGO_NET_OFFLINE", "GOPROXY", "UV_OFFLINE", "npm_config_offline")
    body = 'install = "env > variables"'
    key = project.sync_one(body, "--offline").folder("local.one@r1")
    told = dict(line.split("=", 1) for line in tree(key)["variables"].splitlines() if "=" in line)
    assert [told[name] for name in names] == ["1", "true", "off", "1", "true"]
    assert project.sync_one(body).named("recipe_complete", outcome="cached")


def test_a_payload_shares_no_file_with_the_downloads(project, http_server):
    """What a function moves into its payload, or links, is a copy there, with its usual mode."""
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    asset = project.make(
        f"fetch = {fetch_of(http_server.url, 'x.tar.gz', ARCHIVE)}\nwritable = true\n"
        "install = function(ctx)\n"
        '  ctx.run("ln $ENVY_FETCH_DIR/x.tar.gz $ENVY_INSTALL_DIR/linked.tar.gz")\n'
        '  ctx.move(ctx.fetch_dir .. "/x.tar.gz", ctx.install_dir .. "/moved.tar.gz")\n'
        "end"
    )
    [kept] = project.cache.glob("downloads/sha256/*")
    assert kept.stat().st_nlink == 1
    assert kept.stat().st_mode & 0o777 == 0o444
    for name in ("linked.tar.gz", "moved.tar.gz"):
        assert (asset / name).stat().st_mode & 0o777 == 0o644
        (asset / name).write_text("changed")
    assert kept.read_bytes() == ARCHIVE
    project.envy("cache", "verify", code=1)  # the package was changed, and no download


def test_damage_is_found_and_removed(project, http_server, offline):
    """`verify` names it, `--repair` removes it, and a sync fetches the file again."""
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    project.make(f"fetch = {fetch_of(http_server.url, 'x.tar.gz', ARCHIVE)}")
    assert "verified 1 download: 0 damaged" in project.envy("cache", "verify").out
    name = f"downloads/sha256/{sha256(ARCHIVE)}"
    (project.cache / name).unlink()
    (project.cache / name).write_bytes(ARCHIVE[:-1])
    assert f"{name}: its content differs" in project.envy("cache", "verify", code=1).out
    remove(project, "one")
    run = project.envy("sync", code=1, **offline)
    assert "x.tar.gz is needed, and envy works offline" in run.err
    assert "was damaged, and is removed" in run.err
    assert project.envy("sync").named("recipe_complete", outcome="installed")
    assert http_server.paths() == ["/x.tar.gz"] * 2
    (project.cache / name).unlink()
    (project.cache / name).mkdir()
    assert "1 damaged" in project.envy("cache", "verify", "--repair").out
    assert not (project.cache / name).exists()


def test_figures_and_limits_count_downloads(project, http_server):
    """`envy cache` counts each byte once, `--max-size` removes the oldest, `clear` everything."""
    content = random.Random(1).randbytes(300_000)
    http_server.routes["/x.bin"] = Reply(content)
    http_server.routes["/x.zip"] = Reply(b"no zip" + content)
    source = fetch_of(http_server.url, "x.bin", content)
    archive = fetch_of(http_server.url, "x.zip", b"no zip" + content)
    project.make(f"fetch = {source}")
    project.sync_one(f"fetch = {archive}", code=1)  # its download is in fetch/, too
    found = json.loads(project.envy("cache", "--json", trace=False).out)
    assert found["size"] + sum(found["rest"].values()) == disk_usage(project.cache)
    assert found["rest"]["downloads"] > 300_000
    for path in project.cache.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    output = project.envy("cache", "gc", "--unused-for", "9999999d", "--max-size", "1K").out
    assert output.count("the cache exceeds --max-size") >= 2
    assert list(project.cache.glob("downloads/sha256/*")) == []
    project.make(f"fetch = {source}")
    project.envy("cache", "clear")
    assert not project.cache.exists()


def test_two_syncs_at_once_and_a_cache_without_room(project, second_project, http_server):
    """Both keep the same download; what cannot be kept is installed all the same."""
    for name, content in (("x.tar.gz", ARCHIVE), ("data", DATA)):
        http_server.routes[f"/{name}"] = Reply(content)
    body = f"fetch = {{ {fetch_of(http_server.url, 'x.tar.gz', ARCHIVE)} }}\nbuild = 'true # {{}}'"
    for one in (project, second_project):
        one.packages("local.one@r1")
        one.recipe("local.one@r1", body.replace("{}", one.root.name))
    syncs = [one.popen("sync") for one in (project, second_project)]
    for sync in syncs:
        sync.communicate(timeout=300)
        assert sync.returncode == 0
    assert [path.read_bytes() for path in project.cache.glob("downloads/*/*")] == [ARCHIVE]
    shutil.rmtree(project.cache / "downloads")
    (project.cache / "downloads").write_text("no folder")
    run = project.sync_one(f"fetch = {fetch_of(http_server.url, 'data', DATA)}")
    assert "warning: " in run.err
    assert "data cannot be kept for later use: File exists" in run.err
    assert tree(run.folder("local.one@r1")) == {"data": "data"}


def test_another_project_is_no_source_for_what_is_not_pinned(
    project, second_project, http_server, package_index, offline
):
    """A wheel without a digest serves the project that fetched it, and no other."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    named = {"PIP_INDEX_URL": package_index.url}
    offline["env"] |= named
    project.make('fetch = "pypi:tool==1.0"', env=named)
    remove(project, "one")
    assert project.envy("sync", **offline).named("recipe_complete", outcome="installed")
    remove(project, "one")
    http_server.routes["/simple/tool/"] = DOWN
    run = second_project.sync_one('fetch = "pypi:tool==1.0"', code=1, **offline)
    assert "/simple/tool/ is needed, and envy works offline" in run.err


def test_a_cache_that_may_only_be_read_serves_its_downloads(project, unprivileged, http_server):
    """A plan reads recipe files from them, and changes nothing."""
    recipe = RECIPE.format("one").encode()
    http_server.routes["/tool.lua"] = Reply(recipe)
    write_manifest(project, entry(f"{http_server.url}/tool.lua", sha256=sha256(recipe)))
    project.envy("sync")
    shutil.rmtree(project.cache / "recipes")
    shutil.rmtree(project.cache / "resolved")
    folders = [path for path in project.cache.rglob("*") if path.is_dir()]
    for path in (project.cache, *folders):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert "vendor.tool@v3" in project.envy("plan", "--offline", under=unprivileged).out
    finally:
        for path in (project.cache, *folders):
            path.chmod(path.stat().st_mode | 0o200)
    assert http_server.paths() == ["/tool.lua"]
