"""Constraints and overrides, followed from the manifest to what is installed."""

import json

TOOL = """
options = {
  version = {
    type = "string", default = "1.0", known = { ["1.0"] = {}, ["1.2"] = {}, ["2.0rc1"] = {} },
  },
  build_type = { type = "string", default = "Release" },
}
install = function(ctx, opts)
  ctx.run("mkdir bin; printf '#!/bin/sh\\\\necho %s\\\\n' '" .. opts.version
    .. " " .. opts.build_type .. "' > bin/tool; chmod +x bin/tool")
end
products = { tool = "bin/tool" }
exports = { path = { "bin" } }
"""


def recipes(project, *, asked):
    """Write a tool, and an application that asks for a version of it."""
    project.recipe("local.tool@r1", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "local.tool@r1", source = "local.tool@r1.lua",'
        f' options = {{ version = "{asked}" }} }} }}\n'
        'install = function(ctx) ctx.run("cp \\"$(command -v tool)\\" app") end',
    )


def test_constraints_that_choose_one_version_are_one_package(project):
    """The constraint stands in the key, the version in the entry; every command sees one tool."""
    recipes(project, asked=">=1.0")
    project.manifest(
        'packages = { "local.app@r1",\n'
        '  { recipe = "local.tool@r1", options = { version = "~=1.0" } },\n'
        '  { recipe = "local.tool@r1", options = { version = "1.2" } } }'
    )
    assert "nothing was done; 2 to install" in project.envy("plan").out
    sync = project.envy("sync")
    assert "sync complete: 2 packages" in sync.err
    assert len(project.envy("product", trace=False).out.splitlines()) == 1
    assert len([name for name, _ in project.entries() if name == "local.tool@r1"]) == 1
    for trace in (True, False):  # by the engine, and from the stored answer
        assert project.envy("run", "tool", trace=trace).out == "1.2 Release\n"
        assert project.envy("product", "tool", trace=trace).out.endswith("/bin/tool\n")
        assert "local.tool@r1" in project.envy("asset", "tool", trace=trace).out
    assert "2 packages" in project.envy("sync", trace=False).err
    why = project.envy("why", "tool").out
    assert 'version = ">=1.0" means 1.2, the newest version that the recipe declares' in why
    found = json.loads(project.envy("why", "tool{version='>=1.0'}", "--json").out)
    assert [row["key"] for row in found] == ['local.tool@r1{version=">=1.0"}']


def test_a_constraint_that_nothing_satisfies_is_an_error(project):
    """It names the nearest versions and where it was written."""
    recipes(project, asked=">=2.0")
    project.packages("local.app@r1")
    failed = project.envy("sync", code=1)
    assert 'no version that the recipe declares satisfies version = ">=2.0"' in failed.err
    assert "the nearest versions are 2.0rc1, 1.2, 1.0" in failed.err
    assert "recipes/local.app@r1.lua:2" in failed.err


def test_overrides_unify_and_are_explained(project):
    """An override reaches dependencies, `*` reaches declared options, and queries name them."""
    recipes(project, asked="1.0")
    project.manifest(
        'packages = { "local.app@r1", { recipe = "local.tool@r1", options = { version = "1.2" } } }'
        "\noverrides = {\n"
        '  ["local.tool"] = { options = { version = "2.0rc1" } },\n'
        '  ["*"] = { options = { build_type = "Debug" } },\n'
        "}\n"
    )
    assert "sync complete: 2 packages" in project.envy("sync").err
    assert project.envy("run", "tool").out == "2.0rc1 Debug\n"
    why = project.envy("why", "tool").out
    made = 'which makes it local.tool@r1{version="2.0rc1"}'
    assert f'envy.lua:3 overrides local.tool@r1{{version="1.0"}}, {made}' in why
    assert f'envy.lua:3 overrides local.tool@r1{{version="1.2"}}, {made}' in why
    assert 'envy.lua:4 overrides build_type everywhere: it is "Debug"' in why
    failed = project.envy("asset", "tool{version=1.2}", code=1)
    assert "no package answers to 'tool{version=1.2}'" in failed.err
    assert 'envy.lua:3 overrides local.tool@r1{version="1.2"}' in failed.err


def test_errors_name_the_line_of_an_override(project):
    """What an override gives a package may be wrong, or make a cycle: its line is named."""
    project.recipe("local.a@r1", 'dependencies = { "local.b@r1" }\ninstall = "touch x"')
    project.recipe("local.b@r1", 'install = "touch x"')
    again = '{ recipe = "local.a@r1", source = "recipes/local.a@r1.lua" }'
    body = f'dependencies = {{ {again} }}\ninstall = "true"'
    project.write("other.lua", f'identity = "local.b@r1"\n{body}')
    other = '["local.b"] = { source = "other.lua"'
    project.manifest(f'packages = {{ "local.a@r1" }}\noverrides = {{\n  {other} }} }}')
    failed = project.envy("sync", code=1)
    assert "dependency cycle: local.a@r1 → local.b@r1" in failed.err
    assert "needs local.b@r1 by its check phase (recipes/local.a@r1.lua:2, overridden in " in (
        failed.err
    )
    digest = "0" * 64
    project.manifest(
        f'packages = {{ "local.a@r1" }}\noverrides = {{\n  {other}, sha256 = "{digest}" }} }}'
    )
    failed = project.envy("sync", code=1)
    assert "recipes/local.a@r1.lua:2, overridden in envy.lua:3" in failed.err


def test_an_override_of_nothing_is_an_error(project):
    """A misspelt name would otherwise change nothing without a word."""
    recipes(project, asked="1.0")
    project.manifest(
        'packages = { "local.app@r1" }\n'
        'overrides = { ["local.tol"] = { options = { version = "1.2" } } }\n'
    )
    failed = project.envy("sync", code=1)
    assert '`overrides["local.tol"]` changes nothing' in failed.err
    assert "envy.lua:2" in failed.err
    project.manifest(
        'packages = { "local.app@r1" }\noverrides = { ["*"] = { options = { debug = true } } }\n'
    )
    assert "no recipe declares debug" in project.envy("sync", code=1).err


def test_a_lock_keeps_the_version_that_a_constraint_takes(project):
    """A newer version is taken when it is asked for, and a locked one that is gone is named."""
    recipes(project, asked=">=1.0")
    project.packages("local.app@r1")
    project.envy("lock")
    text = (project.root / "envy.lock").read_text()
    assert ' version * "version >=1.0" 1.2\n' in text
    newer = TOOL.replace('["1.2"] = {}', '["1.2"] = {}, ["1.3"] = {}')
    project.recipe("local.tool@r1", newer)
    assert "local.tool@r1" in project.envy("--locked", "sync").err
    assert project.envy("run", "--with", "tool", "tool").out == "1.2 Release\n"
    project.envy("lock")
    assert (project.root / "envy.lock").read_text() == text
    project.envy("lock", "--update", "tool")
    assert project.envy("run", "--with", "tool", "tool").out == "1.3 Release\n"
    project.recipe("local.tool@r1", TOOL)
    failed = project.envy("sync", code=1)
    assert "its version is 1.3, but its recipe takes 1.2" in failed.err
    assert "envy lock --update" in failed.err


def test_edits_of_the_manifest_keep_the_lock(project):
    """`add`, `upgrade` and `remove` write the lock with the manifest, or neither of them."""
    recipes(project, asked="1.0")
    project.manifest('packages = { { recipe = "local.tool@r1", options = { version = "1.0" } } }\n')
    project.envy("lock")
    project.envy("add", "local.app@r1", "--no-install")
    assert "local.app@r1 recipe" in (project.root / "envy.lock").read_text()
    project.envy("upgrade", "local.tool@r1{version=1.0}", "--no-install")
    project.envy("lock", "--check")
    project.envy("--locked", "sync")
    project.envy("remove", "app")
    kept = (project.root / "envy.lock").read_text()
    assert "local.app@r1" not in kept
    # The lock is written again through a link, with its permissions.
    lock, real = project.root / "envy.lock", project.root / "real.lock"
    lock.rename(real)
    real.chmod(0o640)
    lock.symlink_to(real.name)
    project.recipe("local.bad@r1", 'install = "exit 1"')
    undone = "envy.lua is as it was; --no-install keeps an entry\n"
    assert undone in project.envy("add", "local.bad@r1", code=1).err
    assert real.read_text() == kept
    assert lock.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    project.envy("lock", "--check")
    # Without the lock, there is no entry that --no-install could keep.
    project.recipe("local.bad@r1", 'fetch = "https://127.0.0.1:1/none.tar"')
    undone = undone.partition(";")[0] + "\n"
    assert undone in project.envy("add", "local.bad@r1", "--offline", "--no-install", code=1).err
    # What is repaired is said.
    real.write_text(f"<<<<<<< HEAD\n=======\n>>>>>>> them\n{kept}")
    added = project.envy("add", "local.app@r1", "--no-install")
    note = "note: envy.lock:1: it has conflict markers of git at local.tool@r1"
    assert note in added.err
    assert "what can be read of it is kept" in added.err
