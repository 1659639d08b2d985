"""Weak, required and product dependencies, and custom sources, with real Lua."""

from pathlib import Path


def installed(outcome):
    """Return the identities that a run installed."""
    return sorted(row["recipe"] for row in outcome.named("recipe_complete", outcome="installed"))


TOOL = 'install = "echo tool > tool.txt"'


def test_a_weak_reference_prefers_a_package_of_the_manifest(project):
    """The fallback is not even fetched when a package of the graph matches."""
    project.packages("local.app@r1", "local.ninja@r2")
    project.recipe("local.ninja@r2", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "ninja", weak = { recipe = "local.ninja@r1" }, '
        'needed_by = "build" } }\n'
        'install = function(ctx) ctx.write("out", ctx.asset("ninja")) end',
    )
    run = project.envy("sync")
    assert installed(run) == ["local.app@r1", "local.ninja@r2"]
    [resolved] = run.named("reference_resolved")
    assert (resolved["provider"], resolved["by_fallback"]) == ("local.ninja@r2", False)


def test_a_weak_reference_falls_back(project):
    """If no package matches, the fallback is installed, and the trace records the choice."""
    project.packages("local.app@r1")
    project.recipe("local.ninja@r1", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "ninja", weak = { recipe = "local.ninja@r1" } } }\n'
        'install = function(ctx) ctx.copy(ctx.asset("ninja") .. "/tool.txt", "got.txt") end',
    )
    run = project.envy("sync")
    assert installed(run) == ["local.app@r1", "local.ninja@r1"]
    assert run.named("reference_resolved")[0]["by_fallback"] is True


def test_all_missing_required_references_are_named_at_once(project):
    """One error lists every unmatched reference, with its recipe and location."""
    project.packages("local.app@r1", "local.lib@r1")
    for name in ("app", "lib"):
        project.recipe(
            f"local.{name}@r1", f'dependencies = {{ {{ recipe = "tool-{name}" }} }}\n{TOOL}'
        )
    run = project.envy("sync", code=1)
    for name in ("app", "lib"):
        assert f"'tool-{name}', which local.{name}@r1 needs (recipes/local.{name}@r1.lua:2)" in (
            run.err
        )
    assert project.markers() == []


def test_an_ambiguous_reference_lists_its_candidates(project):
    """Two packages that match one reference are an error that names both."""
    project.packages("local.app@r1", "local.ninja@r1", "other.ninja@r1")
    project.manifest(
        'packages = { "local.app@r1", "local.ninja@r1",\n'
        '  { recipe = "other.ninja@r1", source = "recipes/other.ninja@r1.lua" } }'
    )
    for identity in ("local.ninja@r1", "other.ninja@r1"):
        project.recipe(identity, TOOL)
    project.recipe("local.app@r1", f'dependencies = {{ {{ recipe = "ninja" }} }}\n{TOOL}')
    run = project.envy("sync", code=1)
    assert "several packages answer to 'ninja'" in run.err
    assert "local.ninja@r1" in run.err
    assert "other.ninja@r1" in run.err


def test_a_product_dependency_is_met_by_its_provider(project):
    """A product dependency finds the recipe that provides it, and ctx.product returns its path."""
    project.packages("local.app@r1", "local.cpython@r1")
    project.recipe(
        "local.cpython@r1",
        'install = "mkdir bin; echo python > bin/python; chmod +x bin/python"\n'
        'products = function(opts) return { python = "bin/python" } end',
    )
    project.recipe(
        "local.app@r1",
        'dependencies = { { product = "python", needed_by = "install" } }\n'
        'install = function(ctx) ctx.copy(ctx.product("python"), "got") end',
    )
    project.envy("sync")
    folder = Path(project.envy("asset", "app").out.strip())
    assert (folder / "got").read_text() == "python\n"


def test_a_fallback_that_lacks_its_product_is_an_error(project):
    """A fallback that does not provide the product fails the dependent recipe."""
    project.packages("local.app@r1")
    project.recipe("local.x@r1", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { product = "python", weak = { recipe = "local.x@r1" } } }\n' + TOOL,
    )
    run = project.envy("sync", code=1)
    assert "local.x@r1 should provide the product 'python' but provides nothing" in run.err


def test_a_custom_source_fetches_the_recipe_with_its_tool(project):
    """The tool is complete before the fetch, which may use it; a second sync runs nothing."""
    project.recipe("local.tool@r1", 'install = "echo made by tool > note.txt"')
    project.manifest(
        """packages = {
  { recipe = "vendor.app@v1", source = {
      dependencies = { { recipe = "tool" } },
      fetch = function(ctx, opts)
        ctx.run("cat " .. ctx.asset("tool") .. "/note.txt")
        ctx.write("recipe.lua", 'identity = "vendor.app@v1"; install = "echo hi > hi.txt"')
        ctx.commit_fetch("recipe.lua")
      end } },
  "local.tool@r1",
}"""
    )
    run = project.envy("sync", code=1)
    assert "may not depend on a local one" in run.err
    assert project.markers() == ["local.tool@r1"]
    project.manifest((project.root / "envy.lua").read_text().replace("vendor.app", "local.app"))
    first = project.envy("sync")
    assert installed(first) == ["local.app@v1"]
    done = first.named("recipe_complete", recipe="local.tool@r1")[0]["seq"]
    fetch = first.named("phase_start", recipe="local.app@v1", phase="recipe_fetch")[0]["seq"]
    assert done < fetch
    assert project.envy("sync").named("lua_ctx_run_start") == []


def test_nested_custom_sources_run_stage_by_stage(project):
    """A custom source waits for a tool that itself has a custom source."""
    write = """fetch = function(ctx) ctx.write("recipe.lua", 'identity = "local.%s@v1"; """
    write += """install = "echo > f"') ctx.commit_fetch("recipe.lua") end"""
    project.manifest(
        "packages = { { recipe = 'local.c@v1', source = { dependencies = {\n"
        "  { recipe = 'local.b@v1', source = { dependencies = {\n"
        f"    {{ recipe = 'local.a@v1', source = {{ {write % 'a'} }} }} }},\n"
        f"    {write % 'b'} }} }} }},\n  {write % 'c'} }} }} }}"
    )
    assert installed(project.envy("sync")) == ["local.a@v1", "local.b@v1", "local.c@v1"]


def test_a_cycle_through_a_reference_is_found(project):
    """A cycle through a reference has the same error as one of strong dependencies."""
    project.packages("local.a@r1", "local.b@r1")
    project.recipe("local.a@r1", f'dependencies = {{ {{ recipe = "b" }} }}\n{TOOL}')
    project.recipe("local.b@r1", f'dependencies = {{ {{ recipe = "local.a@r1" }} }}\n{TOOL}')
    run = project.envy("sync", code=1)
    assert "dependency cycle: local.a@r1 → local.b@r1 → local.a@r1" in run.err


def test_references_are_undecided_in_an_incomplete_graph(project):
    """If a recipe cannot be fetched, references stay undecided; strong dependencies are built."""
    project.packages("local.app@r1", "local.broken@r1", "local.fine@r1")
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "tool", weak = { recipe = "local.fine@r1" } } }\n' + TOOL,
    )
    project.recipe("local.broken@r1", "this is not lua")
    project.recipe("local.fine@r1", TOOL)
    run = project.envy("sync", code=1)
    assert "cannot decide what answers to 'tool', because local.broken@r1" in run.err
    assert project.markers() == ["local.fine@r1"]


def test_an_asset_is_found_by_the_query_of_its_reference(project):
    """ctx.asset with the query of a reference returns the package that the reference chose."""
    project.manifest(
        'packages = { "local.app@r1", { recipe = "local.gcc@r1", alias = "cc" }, "local.cc@r1" }'
    )
    project.recipe("local.gcc@r1", TOOL)
    project.recipe("local.cc@r1", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "cc" }, { recipe = "local.cc@r1" } }\n'
        'install = function(ctx) ctx.write("got", ctx.asset("cc")) end',
    )
    project.envy("sync")
    folder = Path(project.envy("asset", "app").out.strip())
    assert "/local.gcc@r1/" in (folder / "got").read_text()


def test_a_choice_is_part_of_the_key(project):
    """A package has another key with another provider; with the first one, its entry is found."""
    project.recipe("local.ninja@r1", TOOL)
    project.recipe("local.ninja@r2", TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "ninja", weak = { recipe = "local.ninja@r1" } } }\n' + TOOL,
    )
    project.packages("local.app@r1")
    fallback = project.envy("asset", "app").out
    project.packages("local.app@r1", "local.ninja@r2")
    assert project.envy("asset", "app").out != fallback
    project.packages("local.app@r1")
    again = project.envy("sync")
    assert (installed(again), project.envy("asset", "app").out) == ([], fallback)


def test_an_alias_of_an_entry_is_a_name_within_the_recipe(project):
    """An alias of a dependency is only known in the recipe that declares it."""
    project.packages("local.app@r1")
    project.recipe("local.b@r1", 'options = { v = { type = "string" } }\n' + TOOL)
    project.recipe(
        "local.app@r1",
        'dependencies = { { recipe = "local.b@r1", options = { v = "1" }, alias = "old" },\n'
        '  { recipe = "local.b@r1", options = { v = "2" }, alias = "new" } }\n'
        'install = function(ctx)\n  assert(ctx.asset("old") == ctx.asset("b{v=1}"))\n'
        '  assert(ctx.asset("new") == ctx.asset("b{v=2}"))\n  ctx.mark_install_complete()\nend',
    )
    project.envy("sync")
    assert "no package answers to 'old'" in project.envy("asset", "old", code=1).err
