"""Dependencies: diamonds, variants side by side, and packages that are only needed to build."""

import shutil

import pytest
from project import tree


def installed(run):
    """Return the identities that a run installed."""
    return sorted(event["recipe"] for event in run.named("recipe_complete", outcome="installed"))


def test_a_diamond_is_built_once(project, tmp_path):
    """Two packages share a dependency, which is built first."""
    record = tmp_path / "record"
    needs = {"app": ["left", "right"], "left": ["base"], "right": ["base"], "base": []}
    project.packages("local.app@r1")
    for name, others in needs.items():
        rows = ", ".join(f'"local.{other}@r1"' for other in others)
        project.recipe(
            f"local.{name}@r1",
            f'dependencies = {{ {rows} }}\ninstall = "echo {name} >> {record}; touch x"',
        )
    project.envy("sync", "--jobs", "2")
    order = record.read_text().split()
    assert sorted(order) == ["app", "base", "left", "right"]
    assert (order[0], order[-1]) == ("base", "app")


def test_variants_are_installed_side_by_side(project):
    """A recipe with two sets of options is two packages, even as dependencies of one recipe."""
    project.packages("local.app@r1")
    project.recipe(
        "local.tool@r1",
        """options = { version = { type = "string", required = true } }
        install = function(ctx, opts) ctx.write("version", opts.version) end""",
    )
    project.recipe(
        "local.app@r1",
        """dependencies = {
          { recipe = "local.tool@r1", options = { version = "1" } },
          { recipe = "local.tool@r1", options = { version = "2" } },
        }
        install = function(ctx)
          for _, version in ipairs({ "1", "2" }) do
            ctx.copy(ctx.asset("tool{version=" .. version .. "}") .. "/version", version)
          end
        end""",
    )
    run = project.envy("sync")
    assert tree(run.folder("local.app@r1")) == {"1": "1", "2": "2"}


def test_an_ambiguous_asset_lists_its_candidates(project):
    """A short name that matches two declared dependencies is an error that names both."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "touch x"')
    project.recipe(
        "local.app@r1",
        """dependencies = {
          { recipe = "local.tool@r1", options = { version = "1" } },
          { recipe = "local.tool@r1", options = { version = "2" } },
        }
        install = function(ctx) ctx.asset("tool") end""",
    )
    run = project.envy("sync", code=1)
    assert 'local.tool@r1{version="1"}' in run.err
    assert 'local.tool@r1{version="2"}' in run.err


def test_dependencies_may_be_a_function_of_the_options(project):
    """The dependencies of a recipe may depend on its options."""
    project.manifest(
        """packages = {
          { recipe = "local.app@r1", options = { with = "a" } },
          { recipe = "local.app@r1", options = { with = "b" } },
        }"""
    )
    for name in "ab":
        project.recipe(f"local.{name}@r1", 'install = "touch x"')
    project.recipe(
        "local.app@r1",
        """dependencies = function(opts) return { "local." .. opts.with .. "@r1" } end
        install = function(ctx, opts) ctx.write("with", ctx.asset(opts.with)) end""",
    )
    assert installed(project.envy("sync")) == [
        *("local.a@r1", "local.app@r1", "local.app@r1", "local.b@r1")
    ]


@pytest.mark.parametrize(
    "query", ["local.far@r1", "local.far", "far", "far@r1", "wide", "far{n=1}", "local.far@r1{n=1}"]
)
def test_assets_are_found_through_declared_dependencies(project, query):
    """ctx.asset accepts every form of a query, also for dependencies of dependencies."""
    project.packages("local.app@r1")
    project.recipe("local.far@r1", 'alias = "wide"\ninstall = "echo far > far.txt"')
    project.recipe(
        "local.near@r1",
        'dependencies = { { recipe = "local.far@r1", options = { n = 1 } } }\ninstall = "touch x"',
    )
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ "local.near@r1" }}
        install = function(ctx) ctx.copy(ctx.asset("{query}") .. "/far.txt", "far.txt") end""",
    )
    run = project.envy("sync")
    assert tree(run.folder("local.app@r1")) == {"far.txt": "far\n"}
    [access] = run.named("lua_ctx_asset_access")
    assert (access["target"], access["allowed"]) == (query, True)


@pytest.mark.parametrize("query", ["other", "too@many@ats", "tool", "late"])
@pytest.mark.parametrize("function", ["asset", "product"])
def test_a_refused_access_is_an_event_whatever_the_reason(project, function, query):
    """Not declared, ambiguous, invalid or too early: the event says so, and why."""
    project.packages("local.app@r1")
    project.recipe("local.late@r1", 'products = { late = "x" }\ninstall = "touch x"')
    options = "options = { n = { type = 'integer' } }\n"
    project.recipe("local.tool@r1", options + 'products = { tool = "x" }\ninstall = "touch x"')
    variants = (f'{{ recipe = "local.tool@r1", options = {{ n = {n} }} }}' for n in (1, 2))
    needs = ", ".join([*variants, '{ recipe = "local.late@r1", needed_by = "deploy" }'])
    project.recipe(
        "local.app@r1",
        f'dependencies = {{ {needs} }}\ninstall = function(ctx) ctx.{function}("{query}") end',
    )
    run = project.envy("sync", code=1)
    [access] = run.named(f"lua_ctx_{function}_access")
    assert access["allowed"] is False
    assert access["reason"].partition("\n")[0] in run.err


@pytest.mark.parametrize(
    ("dependencies", "query", "message"),
    [
        ("{}", "tool", "declares no such dependency"),
        ('{ "local.driver@r1" }', "driver", "is user-managed"),
        ('{ "local.user@r1" }', "tool", "declares no such dependency"),
    ],
)
def test_an_inaccessible_asset_says_why(project, dependencies, query, message):
    """The error says why a package is not accessible, and has a remedy."""
    project.packages("local.app@r1", "local.tool@r1")
    project.recipe("local.tool@r1", 'install = "touch x"')
    project.recipe("local.driver@r1", 'check = "true"\ninstall = "true"')
    project.recipe(
        "local.user@r1",
        'dependencies = { { recipe = "local.tool@r1", use = "build" } }\ninstall = "touch x"',
    )
    project.recipe(
        "local.app@r1",
        f"""dependencies = {dependencies}
        install = function(ctx) ctx.asset("{query}") end""",
    )
    run = project.envy("sync", code=1)
    assert message in run.err
    assert "hint:" in run.err


def test_products_of_dependencies(project):
    """ctx.product returns the absolute path of a product, declared by a table or a function."""
    project.packages("local.app@r1")
    project.recipe(
        "local.a@r1", 'install = "echo a > a"\nproducts = { pa = { path = "a", kind = "file" } }'
    )
    project.recipe(
        "local.b@r1",
        'install = "echo b > b"\n'
        'products = function(opts) return { pb = { path = "b", kind = "file" } } end',
    )
    project.recipe(
        "local.app@r1",
        """dependencies = { "local.a@r1", "local.b@r1" }
        install = function(ctx)
          ctx.copy(ctx.product("pa"), "1")
          ctx.copy(ctx.product("pb"), "2")
        end""",
    )
    run = project.envy("sync")
    assert tree(run.folder("local.app@r1")) == {"1": "a\n", "2": "b\n"}


def test_an_unknown_product_lists_the_available_products(project):
    """The error names the products of the declared dependencies."""
    project.packages("local.app@r1")
    project.recipe(
        "local.a@r1", 'install = "echo a > a"\nproducts = { pa = { path = "a", kind = "file" } }'
    )
    project.recipe(
        "local.app@r1",
        'dependencies = { "local.a@r1" }\ninstall = function(ctx) ctx.product("px") end',
    )
    run = project.envy("sync", code=1)
    assert "ctx.product('px')" in run.err
    assert "products: pa" in run.err


# -- use = "build" ------------------------------------------------------------------------------


@pytest.fixture
def compiled(project):
    """An app that is built with a compiler, which needs a library to run."""
    project.packages("local.app@r1")
    project.recipe("local.library@r1", 'install = "echo library > library"')
    project.recipe(
        "local.compiler@r1",
        'dependencies = { "local.library@r1" }\ninstall = "echo compiler > compiler"',
    )
    project.recipe(
        "local.app@r1",
        """dependencies = { { recipe = "local.compiler@r1", use = "build", needed_by = "build" } }
        build = function(ctx) ctx.copy(ctx.asset("compiler") .. "/compiler", "built-by") end""",
    )
    return project


def forget(project, *identities):
    """Remove entries from the cache."""
    for name, entry in project.entries():
        if name in identities:
            shutil.rmtree(entry)


def test_build_dependencies_are_installed_for_a_build(compiled):
    """A missing package installs its build dependencies, and what those need to run."""
    assert installed(compiled.envy("sync")) == [
        *("local.app@r1", "local.compiler@r1", "local.library@r1")
    ]


@pytest.mark.parametrize("words", [["sync"], ["asset", "app"], ["run", "true"]])
def test_a_cached_package_installs_no_compilers(compiled, words):
    """A cached package does not need its compiler."""
    compiled.envy("sync")
    forget(compiled, "local.compiler@r1", "local.library@r1")
    assert installed(compiled.envy(*words)) == []
    assert compiled.markers() == ["local.app@r1"]


def test_a_missing_package_gets_only_the_missing_compilers(compiled):
    """A rebuild uses the cached compiler, and reinstalls the missing library of the compiler."""
    compiled.envy("sync")
    forget(compiled, "local.app@r1", "local.library@r1")
    assert installed(compiled.envy("sync")) == ["local.app@r1", "local.library@r1"]


def test_run_dependencies_of_a_cached_package_are_installed(compiled):
    """Missing run dependencies of a cached package are installed."""
    compiled.packages("local.compiler@r1")
    compiled.envy("sync")
    forget(compiled, "local.library@r1")
    assert installed(compiled.envy("asset", "compiler")) == ["local.library@r1"]


def test_a_build_dependency_in_the_manifest_is_installed(compiled):
    """A package of the manifest is installed even if it is also a build dependency."""
    compiled.packages("local.app@r1", "local.compiler@r1")
    compiled.envy("sync")
    forget(compiled, "local.compiler@r1")
    assert installed(compiled.envy("sync")) == ["local.compiler@r1"]


def test_a_payload_must_not_contain_the_path_of_a_build_dependency(project):
    """The error names the file and the dependency, and the package is not published."""
    project.packages("local.app@r1")
    project.recipe("local.compiler@r1", 'install = "echo compiler > compiler"')
    project.recipe(
        "local.app@r1",
        """dependencies = { { recipe = "local.compiler@r1", use = "build" } }
        install = function(ctx) ctx.write("etc/config", "cc = " .. ctx.asset("compiler")) end""",
    )
    run = project.envy("sync", code=1)
    assert "etc/config" in run.err
    assert "local.compiler@r1" in run.err
    assert project.markers() == ["local.compiler@r1"]


def test_a_payload_may_contain_the_path_of_a_run_dependency(project):
    """The path of a run dependency may occur in a package."""
    project.packages("local.app@r1")
    project.recipe("local.lib@r1", 'install = "touch lib"')
    project.recipe(
        "local.app@r1",
        """dependencies = { "local.lib@r1", { recipe = "local.lib@r1", use = "build" } }
        install = function(ctx) ctx.write("config", ctx.asset("lib")) end""",
    )
    project.envy("sync")


def test_a_query_syncs_only_what_it_names(project):
    """sync QUERY installs only those packages and their dependencies."""
    project.packages("local.a@r1", "local.b@r1", "local.c@r1")
    for name in "abc":
        project.recipe(f"local.{name}@r1", 'install = "touch x"')
    assert installed(project.envy("sync", "a", "local.c@r1")) == ["local.a@r1", "local.c@r1"]
