"""`envy outdated` and `envy upgrade`, against an index, a server and a repository on loopback."""

import datetime as dt
import hashlib
import json

import pytest
from declarations.manifest_layouts import LAYOUTS, after
from fork_server import ForkServer
from loopback.http_server import Reply
from loopback.package_index import make_wheel

WHEEL = """
options = { version = { type = "string", default = "1.0", known = { ["1.0"] = {} } } }
fetch = function(ctx, opts) return { source = "pypi:demo-tool==" .. opts.version } end
"""
ARCHIVE = """
options = {
  version = { type = "string", required = true }, sha256 = { type = "string", required = true },
}
fetch = function(ctx, opts)
  return { source = "%s/tool-" .. opts.version .. ".txt", sha256 = opts.sha256 }
end
"""
REPOSITORY = 'identity = "acme.repo@r1"\ninstall = "echo %s > content"\n'
FILE = b'identity = "acme.file@r1"\ninstall = "touch %s"\n'
CHOICE = """
options = { version = { type = "string", default = "1", choices = { "1", "2", "3rc1" } } }
install = 'echo "$ENVY_OPTION_VERSION" > content'
"""


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def world(project, package_index, git_repository):
    """A project of entries that are all out of date, and what is upstream of them."""
    now = dt.datetime.now(dt.UTC).isoformat()
    for version, uploaded in [("1.0", "2020-01-01T00:00:00Z"), ("1.1", "2021-01-01T00:00:00.5Z")]:
        add_wheel(package_index, version, uploaded)
    add_wheel(package_index, "1.2", now)
    add_wheel(package_index, "2.0rc1", now)
    server = package_index.server
    server.routes["/tool-1.0.txt"] = Reply(b"one")
    server.routes["/tool-1.5.txt"] = Reply(b"five")
    server.routes["/acme.file@r1.lua"] = Reply(FILE % b"new")
    git_repository.commit({"recipe.lua": REPOSITORY % "one"})
    git_repository.tag("v1.0")
    git_repository.commit({"recipe.lua": REPOSITORY % "two"})
    git_repository.tag("v1.1", annotated=True)
    git_repository.tag("nightly-9")
    project.recipe("local.wheel@r1", WHEEL)
    project.recipe("local.archive@r1", ARCHIVE % server.url)
    project.recipe("local.choice@r1", CHOICE)
    project.manifest(manifest(server.url, git_repository.url))
    project.variables = {"PIP_INDEX_URL": package_index.url}
    return project


def add_wheel(index, version, uploaded):
    content = make_wheel({"demo_tool.py": version})
    index.add("demo-tool", f"demo_tool-{version}-py3-none-any.whl", content, uploaded=uploaded)


def manifest(server, repository):
    """Return the text of the manifest, with a comment at every entry."""
    return f"""-- the tools
local choice = "1"
packages = {{
  {{ recipe = "local.wheel@r1", options = {{ version = "1.0" }} }}, -- a wheel
  {{ recipe = "local.choice@r1", options = {{ version = choice }} }}, -- computed
  {{ recipe = "local.choice@r1", options = {{ version = ">=1,<2" }}, alias = "c" }}, -- a constraint
  {{ recipe = "acme.repo@r1", source = "{repository}", ref = "v1.0" }}, -- a tag
  {{ recipe = "acme.file@r1", source = "{server}/acme.file@r1.lua",
    sha256 = "{digest("old")}" }}, -- a digest
}}
"""


def test_what_is_newer_is_shown_and_written(world, git_repository, package_index):
    """Versions, tags and digests are found, and only what is literal in the manifest changes."""
    before = (world.root / "envy.lua").read_text()
    old_file = FILE % b"old"
    text = before.replace(digest("old"), hashlib.sha256(old_file).hexdigest())
    world.manifest(text)
    server = package_index.server
    new_file = server.routes["/acme.file@r1.lua"]
    server.routes["/acme.file@r1.lua"] = Reply(old_file)
    world.envy("sync", env=world.variables)
    server.routes["/acme.file@r1.lua"] = new_file

    shown = world.envy("outdated", env=world.variables).out.splitlines()
    assert [line.split()[:3] for line in shown] == [
        ["package", "current", "newest"],
        ['local.wheel@r1{version="1.0"}', "1.0", "1.2"],
        ['local.choice@r1{version="1"}', "1", "2"],
        ['local.choice@r1{version=">=1,<2"}', "1", "2"],
        ["acme.repo@r1", "v1.0", "v1.1"],
        ["acme.file@r1", hashlib.sha256(old_file).hexdigest()[:12], shown[5].split()[2]],
    ]
    old = world.envy("outdated", "wheel", "--min-age", "7d", "--json", env=world.variables)
    assert [row["newest"] for row in json.loads(old.out)] == ["1.1"]

    upgraded = world.envy("upgrade", "--no-install", env=world.variables)
    assert 'changed local.wheel@r1{version="1.0"} from 1.0 to 1.2 in envy.lua:4' in upgraded.err
    stays = (
        "2 is newer, in envy.lua:5 stays: envy.lua:5: envy cannot change this entry: its value is"
    )
    assert f"{stays} computed\n  hint: write it yourself:\n    {{" in upgraded.err
    constrained = "in envy.lua:6 stays: the constraint >=1,<2 chooses the version"
    assert constrained in upgraded.err
    asked = world.envy("upgrade", "c", "--to", "2", env=world.variables)
    assert f"2 was asked for, {constrained}" in asked.err
    after = (
        text.replace('version = "1.0"', 'version = "1.2"')
        .replace('ref = "v1.0"', 'ref = "v1.1"')
        .replace(hashlib.sha256(old_file).hexdigest(), hashlib.sha256(new_file.body).hexdigest())
    )
    assert (world.root / "envy.lua").read_text() == after
    assert "4 packages" in world.envy("sync", env=world.variables).err
    again = world.envy("upgrade", "wheel", env=world.variables)
    assert "every version is the newest" in again.err


def test_a_recipe_file_that_has_changed_upstream_can_be_taken(world, package_index):
    """Without the old file, the package is known from its entry alone."""
    server = package_index.server
    text = (
        f'packages = {{ {{ recipe = "acme.file@r1", source = "{server.url}/acme.file@r1.lua",\n'
        f'  sha256 = "{digest("old")}" }} }}\n'
    )
    world.manifest(text)
    new = hashlib.sha256(FILE % b"new").hexdigest()
    shown = world.envy("outdated", code=0)
    assert f"acme.file@r1  {digest('old')[:12]}  {new[:12]}" in shown.out
    assert "1 installed" in world.envy("upgrade").err
    assert (world.root / "envy.lua").read_text() == text.replace(digest("old"), new)


def test_a_version_and_its_digest_change_together(world, package_index):
    """The digest is that of the source for the new version; --to takes any, and installs it."""
    server = package_index.server
    text = (
        'packages = { { recipe = "local.archive@r1",\n'
        f'  options = {{ version = "1.0", sha256 = "{digest("one")}" }} }} }}\n'
    )
    world.manifest(text)
    upgraded = world.envy("upgrade", "archive", "--to", "1.5", env=world.variables)
    assert "1 installed" in upgraded.err
    expected = text.replace("1.0", "1.5").replace(digest("one"), digest("five"))
    assert (world.root / "envy.lua").read_text() == expected
    failed = world.envy("upgrade", "archive", "--to", "1.6", env=world.variables)
    assert "stays: its sha256 is not known" in failed.err
    assert f"{server.url}/tool-1.6.txt" in failed.err
    assert (world.root / "envy.lua").read_text() == expected


def test_a_wrong_request_is_an_error(world):
    """It names the nearest versions, or the entry that would have to be changed."""
    failed = world.envy("upgrade", "wheel", "--to", "1.7", env=world.variables, code=1)
    assert "local.wheel@r1 has no version 1.7" in failed.err
    assert "the nearest versions are 1.2, 1.1, 1.0" in failed.err
    failed = world.envy("upgrade", "--to", "1.7", code=2)
    assert "--to needs one QUERY" in failed.err
    failed = world.envy("outdated", "wheel", "--min-age", "soon", code=2)
    assert "'soon' is not a valid time span" in failed.err
    failed = world.envy("upgrade", "wheel", "--to", "", code=2)
    assert "--to names no version" in failed.err
    failed = world.envy("outdated", "nothing", code=1, env=world.variables)
    assert "no package answers to 'nothing'" in failed.err


def test_an_entry_that_stays_says_why(world):
    """It is for another platform, or an override decides; an older version is not called newer."""
    world.manifest(
        'overrides = { choice = { options = { version = "2" } } }\n'
        'packages = { "local.choice@r1",\n'
        '  { recipe = "local.wheel@r1", platforms = { "windows" } } }\n'
    )
    failed = world.envy("upgrade", "wheel", code=1, trace=False)
    assert "local.wheel@r1 is not for this platform, in envy.lua:3" in failed.err
    world.manifest(
        (world.root / "envy.lua").read_text()
        + 'if ENVY_PLATFORM == "windows" then packages[3] = "local.archive@r1" end\n'
    )
    note = (
        "note: 2 entries are for other platforms, and not compared: local.archive@r1, local.wheel"
    )
    assert note in world.envy("outdated", trace=False).err
    assert note in world.envy("upgrade", trace=False).err
    assert "note: " not in world.envy("outdated", "--quiet", trace=False).err
    stays = world.envy("upgrade", "choice", "--to", "1", trace=False)
    assert "with version 2, 1 was asked for, in envy.lua:2 stays: an override" in stays.err


def test_a_registry_that_cannot_be_reached_is_named(world):
    """The other entries are shown even so, and nothing of the entry changes."""
    world.manifest('packages = { { recipe = "local.wheel@r1", options = { version = "1.0" } } }\n')
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    shown = world.envy("outdated", env=unreachable)
    assert "what is newer is not known" in shown.out
    assert json.loads(world.envy("outdated", "--json", env=unreachable).out)[0]["note"]


def test_every_layout_keeps_its_text(project):
    """An upgrade changes a version in each of the layouts that entries are added to."""
    project.recipe("local.choice@r1", CHOICE)
    words = ("upgrade", "choice", "--no-install")
    entry = '{ recipe = "local.choice@r1", options = { version = "1" } }'
    with ForkServer() as server:
        for name, marked in LAYOUTS.items():
            text = after(marked).replace("'envy.zig@r1'", '"envy.zig@r1"')
            text = text.replace('"envy.zig@r1"', entry)
            project.write("envy.lua", text.encode("utf-8", "surrogateescape"))
            run = server.run(words, cwd=project.root, environment=project.environment())
            assert run["code"] == 0, (name, run["err"])
            written = (project.root / "envy.lua").read_bytes().decode("utf-8", "surrogateescape")
            assert written == text.replace('version = "1"', 'version = "2"'), name
