"""Recipe bundles: many recipes from one folder, archive or repository."""

import hashlib
import json
import os
import time

import pytest
from archives import make_tar
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_wheel
from project import Project, tree

MAP = 'recipes = { ["vendor.tool@r1"] = "tools/tool.lua", ["vendor.lib@r1"] = "lib.lua" }\n'
FILES = {
    "envy-bundle.lua": MAP,
    "common/words.lua": 'return { word = "hello" }\n',
    "tools/tool.lua": 'identity = "vendor.tool@r1"\nlocal words = require("common.words")\n'
    'dependencies = { "vendor.lib@r1" }\n'
    'function install(ctx) ctx.write("word", words.word) end\n',
    "lib.lua": 'identity = "vendor.lib@r1"\ninstall = "touch lib"\n',
}
USES = 'bundles = { %s }\npackages = { "vendor.tool@r1" }\n'


def archive(top="", **changes):
    """Return the bundle as an archive, perhaps with other files and below one folder."""
    return make_tar({f"{top}{name}": text for name, text in {**FILES, **changes}.items()})


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


def word(project, *words, **details):
    """Return what a sync installs."""
    return tree(project.envy("sync", *words, **details).folder("vendor.tool@r1"))["word"]


@pytest.fixture
def folder(project):
    """A project with a bundle that is a folder beside it."""
    for name, text in FILES.items():
        project.write(f"../bundle/{name}", text)
    project.manifest(USES % '{ source = "../bundle" }')
    return project


def test_a_folder_is_used_where_it_is(folder):
    """Recipes, dependencies and modules come from it; each edit and new file there is noticed."""
    assert word(folder) == "hello"
    warm = folder.envy("sync", trace=False)
    assert "2 cached" in warm.err
    assert word(folder) == "hello"
    folder.write("../bundle/common/words.lua", 'return { word = "edited" }\n')
    assert word(folder) == "edited"
    # A module beside the recipe is found before one in the folder of the bundle.
    folder.write("../bundle/tools/common/words.lua", 'return { word = "new" }\n')
    assert word(folder) == "new"
    other = FILES["tools/tool.lua"].replace("words.word", '"mapped"')
    folder.write("../bundle/other.lua", other)
    folder.write("../bundle/envy-bundle.lua", MAP.replace("tools/tool.lua", "other.lua"))
    assert word(folder) == "mapped"
    assert folder.envy("graph", "--format", "json").out.count("vendor.lib@r1")
    folder.write("../bundle/envy-bundle.lua", MAP.replace("vendor.lib", "vendor.lab"))
    run = folder.envy("sync", code=1)
    assert "no bundle of the manifest has the recipe vendor.lib@r1" in run.err
    assert 'did you mean "vendor.lab@r1", of ../bundle?' in run.err


def test_one_fetch_and_the_same_packages_from_everywhere(
    folder, second_project, http_server, git_repository
):
    """An archive or a repository is fetched once; equal bytes are the same packages."""
    folder.envy("sync")
    content = archive("recipes-1.0/")
    http_server.routes["/recipes.tar"] = Reply(content)
    source = f'{{ source = "{http_server.url}/recipes.tar", sha256 = "{digest_of(content)}" }}'
    second_project.manifest(USES % source)
    assert "2 cached" in second_project.envy("sync").err
    second_project.envy("asset", "vendor.tool")
    assert http_server.paths() == ["/recipes.tar"]
    folder.manifest(USES % source)
    assert "2 cached" in folder.envy("sync", "--offline").err
    commit = git_repository.commit({f"inner/{name}": text for name, text in FILES.items()})
    source = f'{{ source = "{git_repository.url}", ref = "{commit}", subdir = "inner" }}'
    second_project.manifest(USES % source)
    assert "2 cached" in second_project.envy("sync").err
    git_repository.commit({"inner/common/words.lua": 'return { word = "later" }\n'})
    second_project.manifest(USES % source.replace(commit, "main"))
    assert word(second_project) == "later"
    # As a file of its own, and named by its path in the bundle.
    folder.write("own/lib.lua", FILES["lib.lua"])
    folder.manifest('packages = { { recipe = "vendor.lib@r1", source = "own/lib.lua" } }')
    assert "1 cached" in folder.envy("sync").err
    by_path = '{ { recipe = "vendor.lib@r1", source = "../lib.lua", use = "build" } }'
    tool = FILES["tools/tool.lua"].replace('{ "vendor.lib@r1" }', by_path)
    folder.write("../bundle/tools/tool.lua", tool)
    folder.manifest(
        'bundles = { { source = "../bundle" } }\npackages = { "vendor.tool@r1", "vendor.lib@r1" }'
    )
    assert word(folder) == "hello"


def test_the_lock_has_bundles_and_their_recipes(project, http_server):
    """What an archive without digest was, the lock keeps; --update takes what it is now."""
    http_server.routes["/recipes.tar"] = Reply(archive())
    project.manifest(USES % f'{{ source = "{http_server.url}/recipes.tar" }}')
    project.envy("lock")
    text = (project.root / "envy.lock").read_text()
    address = f"{http_server.url}/recipes.tar"
    assert f"envy.lua bundle * {address} sha256:{digest_of(archive())}\n" in text
    recipe = digest_of(FILES["lib.lua"].encode())
    assert f"vendor.lib@r1 recipe * bundle:{address} sha256:{recipe}\n" in text
    assert word(project, "--locked") == "hello"
    changed = archive(**{"common/words.lua": 'return { word = "later" }\n'})
    http_server.routes["/recipes.tar"] = Reply(changed)
    assert word(project, "--locked") == "hello"
    project.envy("lock", "--check")
    project.envy("lock", "--update", "vendor.lib")
    assert digest_of(changed) in (project.root / "envy.lock").read_text()
    assert word(project, "--locked") == "later"
    pinned = f'{{ source = "{address}", sha256 = "{digest_of(archive())}" }}'
    project.manifest(USES % pinned)
    http_server.routes["/recipes.tar"] = Reply(archive())
    run = project.envy("sync", code=1)
    assert f"envy.lock: envy.lua bundle {address}: its digest or commit is" in run.err
    assert "run `envy lock`" in run.err
    project.envy("lock")
    assert word(project, "--locked") == "hello"


BAD_MAPS = {
    "recipes = {": "envy-bundle.lua:1:",
    "recipes = {}\nerror('broken')": "envy-bundle.lua:2: broken",
    "recipe = {}": "envy-bundle.lua has no `recipes`",
    'recipes = { "a.lua" }': "`recipes` must map identities to files",
    'recipes = {\n["vendor.tool@r1"] = "../x.lua" }': 'must be a relative path without ".."',
    'recipes = {\n["vendor.tool@r1"] = "/x.lua" }': 'must be a relative path without ".."',
    'recipes = {\n["vendor.tool@r1"] = 1 }': "the file of vendor.tool@r1 must be a relative path",
    'recipes = {\n["vendor.tool@r1"] = "" }': "the file of vendor.tool@r1 must be a relative path",
    'recipes = {\n["vendor.tool@r1"] = "tol.lua" }': 'did you mean "tool.lua"?',
    'recipes = {\n["vendor.tool@r1"] = "out.lua" }': "leads outside of the bundle",
    'recipes = {\n["vendor.tool@r1"] = "lib.lua" }': 'the recipe is "vendor.lib@r1", and '
    'envy-bundle.lua of its bundle says that the file is "vendor.tool@r1"',
    'recipes = {\n["envy.ninja@r1"] = "lib.lua" }': "a bundle cannot bring envy.ninja@r1",
    'recipes = {\n["local.ninja@r1"] = "lib.lua" }': "a bundle cannot bring local.ninja@r1",
    'recipes = {\n["vendor.tool"] = "lib.lua" }': "envy-bundle.lua:2: ",
    "recipes = {} for i = 1, 20001 do recipes['v.t' .. i .. '@r1'] = 'x' end": "bundle-recipes",
}


def test_bad_maps_say_what_and_where(folder, tmp_path):
    """A bad map is an error about the map, whichever recipe needs it."""
    folder.write("../outside.lua", 'identity = "vendor.tool@r1"')
    folder.write("../bundle/tool.lua", "")
    (tmp_path / "bundle/out.lua").symlink_to("../outside.lua")
    path = tmp_path / "bundle/envy-bundle.lua"
    path.unlink()
    path.symlink_to("../outside.lua")
    assert "is a link that leads outside of it" in folder.envy("sync", code=1).err
    path.unlink()
    os.mkfifo(path)
    assert (
        "envy-bundle.lua of the bundle ../bundle is not a plain file"
        in folder.envy("sync", code=1).err
    )
    path.unlink()
    for text, words in BAD_MAPS.items():
        folder.write("../bundle/envy-bundle.lua", text)
        run = folder.envy("sync", code=1, trace=False)
        assert words in run.err, (text, run.err)
        assert "Traceback" not in run.err


BAD_BUNDLES = {
    '"../bundle"': "a bundle must be a table with `source`",
    '{ source = "../bundle", sha = "x" }': '"sha"',
    '{ source = "../bundle" }, { source = "../bundle/." }': "is listed twice",
    '{ source = "../bundle" }, { source = "../same" }': "2 bundles have the recipe vendor.tool@r1",
    '{ source = "../nothing" }': "there is no bundle",
    '{ source = "../pipe" }': "is neither a folder nor a plain file",
    '{ source = "../same.lua" }': "is not an archive",
    '{ source = "../bundle", subdir = "common" }': "has no file envy-bundle.lua",
    '{ source = "../bundle", subdir = "no" }': "has no folder no",
    '{ source = "../bundle", sha256 = "' + "0" * 64 + '" }': "a folder has no digest",
    '{ source = "SERVER/none.tar" }': "404",
    '{ source = "SERVER/recipes.tar", sha256 = "' + "0" * 64 + '" }': "0" * 64,
}


def test_bad_bundles_say_what_and_where(folder, http_server):
    """A bundle that cannot be used is an error that names it, and leaves nothing in the cache."""
    http_server.routes["/recipes.tar"] = Reply(archive())
    folder.write("../same/envy-bundle.lua", MAP)
    folder.write("../same.lua", "x")
    os.mkfifo(folder.root.parent / "pipe")
    for bundles, words in BAD_BUNDLES.items():
        folder.manifest(USES % bundles.replace("SERVER", http_server.url))
        run = folder.envy("sync", code=1, trace=False)
        assert words in run.err, (bundles, run.err)
        assert "Traceback" not in run.err
    folder.manifest('bundles = "x"\npackages = {}')
    assert "`bundles` must be an array of tables" in folder.envy("sync", code=1).err
    folder.manifest('packages = { "vendor.tool@r1" }')
    assert "or list the bundle that has it in `bundles`" in folder.envy("sync", code=1).err
    folder.recipe("local.one@r1", 'dependencies = { "vendor.tool@r1" }\ninstall = "touch x"')
    folder.packages("local.one@r1")
    assert "the source of vendor.tool@r1 is missing" in folder.envy("sync", code=1).err
    assert not any(path.is_file() for path in (folder.cache / "recipes").rglob("*"))
    folder.manifest(USES % f'{{ source = "{http_server.url}/recipes.tar" }}')
    run = folder.envy("sync", "--offline", code=1)
    assert f"{http_server.url}/recipes.tar is needed, and envy works offline" in run.err
    run = folder.envy("list", "--bundles", "--offline", code=1)
    assert "run this once online: envy sync;" in run.err


def test_bundles_in_other_commands(project, http_server, git_repository):
    """Recipes of bundles are listed, searched and added; bundles are upgraded as recipes are."""
    described = 'about = { description = "an egg timer" }\nproducts = { egg = "x" }\n'
    versions = (
        'options = { version = { type = "string", default = "2", choices = { "1", "2" } } }\n'
    )
    egg = f'identity = "acme.egg@r1"\n{described}{versions}install = "touch x; chmod +x x"\n'
    git_repository.commit(
        {"envy-bundle.lua": 'recipes = { ["acme.egg@r1"] = "egg.lua" }', "egg.lua": egg}
    )
    git_repository.tag("v1.0")
    git_repository.commit({"new.lua": ""})
    git_repository.tag("v1.1")
    http_server.routes["/recipes.tar"] = Reply(archive())
    project.manifest(
        f"""-- ours
bundles = {{
  {{ source = "{git_repository.url}", ref = "v1.0" }}, -- eggs
  {{ source = "{http_server.url}/recipes.tar", sha256 = "{digest_of(archive())}" }},
}}
packages = {{
}}
"""
    )
    before = (project.root / "envy.lua").read_text()
    rows = project.envy("list", "--bundles").out.splitlines()
    assert [row.split()[0] for row in rows] == ["acme.egg@r1", "vendor.lib@r1", "vendor.tool@r1"]
    assert rows[0].split("  ")[-1] == git_repository.url
    assert project.envy("search", "timer").out.split()[0] == "acme.egg@r1"
    error = project.envy("add", "tol", code=1).err
    assert 'did you mean "tool", of' in error
    error = project.envy("add", "egg@3", code=1).err
    assert "acme.egg@r1 knows no version 3" in error
    project.envy("add", "tool", "egg@1")
    text = (project.root / "envy.lua").read_text()
    assert '"vendor.tool@r1",' in text
    assert '{ recipe = "acme.egg@r1", options = { version = "1" } },' in text
    assert f"its recipe is from the bundle {git_repository.url}" in project.envy("why", "egg").out
    graph = json.loads(project.envy("graph", "--json").out)
    bundles = {row["identity"]: row["bundle"] for row in graph["packages"]}
    assert bundles["vendor.lib@r1"] == f"{http_server.url}/recipes.tar"
    changed = archive(**{"common/words.lua": 'return { word = "later" }\n'})
    http_server.routes["/recipes.tar"] = Reply(changed)
    rows = json.loads(project.envy("outdated", "--json").out)
    assert [(row["what"], row["newest"]) for row in rows] == [
        ("version", "2"),
        ("ref", "v1.1"),
        ("sha256", digest_of(changed)),
    ]
    project.envy("upgrade", "vendor.tool")
    project.envy("upgrade", "--no-install")
    text = (project.root / "envy.lua").read_text()
    after = before.replace('"v1.0" }', '"v1.1" }').replace(digest_of(archive()), digest_of(changed))
    assert text.startswith(after[: after.index("packages")])
    assert word(project) == "later"


def test_gc_removes_a_bundle_that_is_not_used(project):
    """An unpacked bundle and its lock are files of the cache like any recipe's."""
    project.write("recipes.tar", archive())
    project.manifest(USES % '{ source = "recipes.tar" }')
    project.envy("sync")
    project.envy("cache", "gc")
    assert list((project.cache / "recipes/bundle").iterdir())
    long_ago = time.time() - 90 * 86400
    for path in [*project.cache.rglob("*")]:
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    project.envy("cache", "gc")
    assert not [*project.cache.glob("recipes/bundle/*")]
    project.envy("cache", "gc")
    assert not [*project.cache.glob("locks/bundle-*")]
    assert word(project) == "hello"


def test_bundles_of_registries(project, package_index, npm_registry):
    """A release of the package index or of npm may be a bundle: fetched once, locked, verified."""
    env = {"PIP_INDEX_URL": package_index.url, "npm_config_registry": npm_registry.url}
    about = {"vendor_recipes-1.0.dist-info/METADATA": "Name: vendor-recipes\nVersion: 1.0\n"}
    wheel = make_wheel({**{f"vendor/{name}": text for name, text in FILES.items()}, **about})
    package_index.add("vendor-recipes", "vendor_recipes-1.0-py3-none-any.whl", wheel)
    deep = {f"envy/{name}": text for name, text in FILES.items()}
    deep["envy/common/words.lua"] = 'return { word = "from npm" }\n'
    tarball = make_npm_tarball({"package.json": "{}", **deep})
    npm_registry.add("@vendor/recipes", "1.0.0", tarball)
    pypi = '{ source = "pypi:vendor-recipes==1.0" }'
    npm = '{ source = "npm:@vendor/recipes@1.0.0", subdir = "envy" }'

    project.manifest(USES % pypi)
    assert word(project, env=env) == "hello"
    project.envy("lock", env=env)
    text = (project.root / "envy.lock").read_text()
    assert f"envy.lua bundle * pypi:vendor-recipes==1.0 sha256:{digest_of(wheel)}\n" in text
    requests = len(package_index.server.requests)
    assert word(project, "--offline", "--locked") == "hello"
    assert len(package_index.server.requests) == requests
    rows = project.envy("list", "--bundles", "--offline").out.splitlines()
    assert [row.split()[0] for row in rows] == ["vendor.lib@r1", "vendor.tool@r1"]
    assert rows[0].split()[-1] == "pypi:vendor-recipes==1.0"

    project.manifest(USES % npm)
    (project.root / "envy.lock").unlink()
    assert word(project, env=env) == "from npm"
    project.envy("lock", env=env)
    text = (project.root / "envy.lock").read_text()
    assert f"envy.lua bundle * npm:@vendor/recipes@1.0.0 sha256:{digest_of(tarball)}\n" in text
    assert word(project, "--offline", "--locked") == "from npm"

    # What a registry has for the version now is another than what the lock has.
    npm_registry.add("@vendor/recipes", "1.0.0", make_npm_tarball({"package.json": "", **deep}))
    run = second(project).envy("sync", env=env, code=1)
    assert "but envy.lock has" in run.err
    pinned = npm.replace(" }", f', sha256 = "{"0" * 64}" }}')
    project.manifest(USES % pinned)
    (project.root / "envy.lock").unlink()
    assert "0" * 64 in project.envy("sync", env=env, code=1).err
    project.manifest(USES % npm.replace("1.0.0", "2.0.0"))
    run = project.envy("sync", env=env, code=1)
    assert "has no version 2.0.0 of @vendor/recipes" in run.err
    package_index.add("vendor-recipes", "vendor_recipes-1.1-py3-none-any.whl", wheel)
    project.manifest(USES % pypi)
    rows = json.loads(project.envy("outdated", "--json", env=env).out)
    assert [(row["package"], row["what"], row["newest"]) for row in rows] == [
        ("pypi:vendor-recipes==1.0", "version", "1.1")
    ]
    project.envy("upgrade", "--no-install", env=env)
    assert '"pypi:vendor-recipes==1.1"' in (project.root / "envy.lua").read_text()


def second(project):
    """Return the same project with an empty cache."""
    return Project(project.root, cache=project.root.parent / "empty-cache")
