"""`envy plan` and `envy sync --dry-run`: what a sync would do, without doing it."""

import json
import shutil

from loopback.http_server import Reply

TOOL = 'install = "echo tool > tool.txt"\n'


def acts(run):
    """What would be done with each package, of a plan in JSON."""
    return {row["key"]: row["act"] for row in json.loads(run.out)}


def everything(project):
    """Every file of the cache."""
    return sorted(path for path in project.cache.rglob("*")) if project.cache.exists() else None


def test_a_plan_leaves_nothing_behind(project):
    """The cache folder is not created, and no phase but recipe_fetch starts."""
    project.packages("local.app@r1", "local.sys@r1")
    project.recipe("local.app@r1", 'dependencies = { "local.lib@r1" }\n' + TOOL)
    project.recipe("local.lib@r1", TOOL)
    project.recipe("local.sys@r1", "check = 'touch checked'\ninstall = 'touch installed'")
    before = everything(project)
    run = project.envy("plan")
    assert {row["phase"] for row in run.named("phase_start")} == {"recipe_fetch"}
    assert (before, everything(project)) == (None, None)
    assert sorted(path.name for path in project.root.iterdir()) == ["envy.lua", "recipes"]
    assert run.out.splitlines()[0] == "install  local.lib@r1  it has not been built yet"
    assert run.out.endswith("nothing was done; 2 to install (0 to fetch), 1 to check\n")


def test_installed_packages_are_reused(project):
    """A plan distinguishes installed, missing and undeployed packages."""
    project.packages("local.app@r1", "local.deployed@r1", "local.new@r1")
    project.recipe("local.app@r1", TOOL)
    project.recipe("local.new@r1", TOOL)
    project.recipe("local.deployed@r1", TOOL + "deploy = function(ctx) ctx.run('test -e ok') end")
    project.envy("sync", "app", "deployed", code=1)
    before = everything(project)
    assert acts(project.envy("plan", "--json")) == {
        "local.app@r1": "reuse",
        "local.deployed@r1": "deploy",
        "local.new@r1": "install",
    }
    assert everything(project) == before


def test_a_plan_and_why_rebuild_give_one_reason(project):
    """An edited recipe is changed, in both; a new one has not been built yet, in both."""
    project.packages("local.app@r1", "local.new@r1")
    project.recipe("local.app@r1", TOOL)
    project.recipe("local.new@r1", TOOL)
    project.envy("sync", "app")
    project.recipe("local.app@r1", TOOL.replace("echo tool", "echo TOOL"))
    lines = project.envy("plan").out.splitlines()
    changed = "it has changed since the last build"
    assert lines[0].startswith(f"install  local.app@r1  {changed}; recipe line 2: install = ")
    assert f"would be built: {changed}\n" in project.envy("why-rebuild", "app").out
    assert "install  local.new@r1  it has not been built yet" in lines
    assert "it has not been built yet" in project.envy("why-rebuild", "new").out
    assert f"not cached local.app@r1: {changed}; recipe line 2" in project.envy("sync", "-v").err


def test_equal_lines_are_one_line(project):
    """Sixty packages with nothing to do but the same are one line; --verbose shows all of them."""
    names = [f"local.p{number:02}@r1" for number in range(60)]
    project.packages(*names, "local.other@r1")
    for name in names:
        project.recipe(name, TOOL)
    project.recipe("local.other@r1", "fetch = 'data.txt'\n" + TOOL)
    project.write("recipes/data.txt", "data")
    lines = project.envy("plan").out.splitlines()
    assert lines == [
        "install  local.other@r1  it has not been built yet",
        "           fetch data.txt",
        "           run install",
        "install  60 packages     it has not been built yet",
        "           run install",
        "nothing was done; 61 to install (1 to fetch)",
    ]
    verbose = project.envy("--verbose", "plan").out.splitlines()
    assert [line.split()[1] for line in verbose if line.startswith("install ")] == sorted(
        [*names, "local.other@r1"]
    )


def test_what_would_be_fetched_and_run(project):
    """Each source is listed, and the verbs of the recipe that would run."""
    project.write("recipes/data.txt", "data")
    project.packages("local.app@r1")
    project.recipe("local.app@r1", 'fetch = "data.txt"\nbuild = "true"\n' + TOOL)
    out = project.envy("plan").out
    assert "           fetch data.txt\n           run build, install\n" in out


def test_build_dependencies_of_installed_packages_are_not_planned(project):
    """Build dependencies are planned only if the package is built."""
    project.packages("local.app@r1")
    project.recipe(
        "local.app@r1", 'dependencies = { { recipe = "local.cc@r1", use = "build" } }\n' + TOOL
    )
    project.recipe("local.cc@r1", TOOL)
    assert sorted(acts(project.envy("plan", "--json"))) == ["local.app@r1", "local.cc@r1"]
    project.envy("sync")
    assert acts(project.envy("plan", "--json")) == {"local.app@r1": "reuse"}


def test_a_dry_run_is_a_plan(project):
    """`sync --dry-run` prints the same, even when everything is installed."""
    project.packages("local.app@r1")
    project.recipe("local.app@r1", TOOL)
    assert project.envy("sync", "--dry-run").out == project.envy("plan").out
    project.envy("sync")
    assert project.envy("sync", "--dry-run", "app").out.startswith("reuse    local.app@r1")


SOURCE = """{ recipe = "local.vendor@v1", source = {
    dependencies = { "local.getter@r1" },
    fetch = function(ctx)
      ctx.run("cat " .. ctx.asset("getter") .. "/tool.txt")
      ctx.write("recipe.lua", [[identity = "local.vendor@v1"; install = "touch x"]])
      ctx.commit_fetch("recipe.lua")
    end } }"""


def test_nothing_is_planned_past_a_custom_source(project):
    """Without its tools a custom source is unknown, and so is what a reference may find there."""
    project.manifest(f'packages = {{ {SOURCE}, "local.app@r1" }}')
    project.recipe("local.getter@r1", TOOL)
    project.recipe("local.app@r1", 'dependencies = { { recipe = "vendor" } }\n' + TOOL)
    run = project.envy("plan", "--json")
    assert acts(run) == {
        "local.getter@r1": "install",
        "local.vendor@v1": "unknown",
        "local.app@r1": "unknown",
    }
    reasons = {row["key"]: row["reason"] for row in json.loads(run.out)}
    assert reasons["local.vendor@v1"] == (
        "its source needs local.getter@r1 before it can be fetched"
    )
    assert "not known before local.vendor@v1 is fetched" in reasons["local.app@r1"]
    assert project.markers() == []


def test_a_custom_source_with_installed_tools_is_planned(project):
    """Its function runs in a folder that is thrown away, and the plan goes on behind it."""
    project.manifest(f"packages = {{ {SOURCE} }}")
    project.recipe("local.getter@r1", TOOL)
    project.envy("asset", "getter", code=0)
    shutil.rmtree(project.cache / "recipes")
    before = everything(project)
    assert acts(project.envy("plan", "--json"))["local.vendor@v1"] == "install"
    assert everything(project) == before


def test_a_failed_recipe_fails_the_plan(project):
    """The rest is planned; the failure is reported with exit code 1."""
    project.packages("local.app@r1", "local.bad@r1")
    project.recipe("local.app@r1", TOOL)
    project.recipe("local.bad@r1", "this is not lua")
    run = project.envy("plan", "--json", code=1)
    assert acts(run) == {"local.app@r1": "install", "local.bad@r1": "fail"}
    assert "local.bad@r1: recipe_fetch failed" in run.err


def test_a_remote_recipe_is_not_stored(project, http_server):
    """The recipe is fetched for the plan, and the cache is unchanged, before and after a sync."""
    text = b'identity = "acme.app@v1"\n' + TOOL.encode()
    http_server.routes["/app.lua"] = Reply(text)
    url = f"{http_server.url}/app.lua"
    project.manifest(f'packages = {{ {{ recipe = "acme.app@v1", source = "{url}" }} }}')
    assert acts(project.envy("plan", "--json")) == {"acme.app@v1": "install"}
    assert everything(project) is None
    project.envy("sync")
    before = everything(project)
    assert acts(project.envy("plan", "--json")) == {"acme.app@v1": "reuse"}
    assert everything(project) == before
