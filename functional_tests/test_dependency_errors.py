"""Errors about dependencies: each has the candidates, the location, and a remedy."""

from pathlib import Path

import pytest

TOOL = 'install = "echo tool > tool.txt"\n'
PYTHON = TOOL + 'products = { python = { path = "tool.txt", kind = "file" } }\n'


def failure(project, app, **others):
    """Return the errors of a sync of `local.app@r1` and other recipes, given by name."""
    project.packages("local.app@r1", *[f"local.{name}@r1" for name in others])
    for name, body in {"app": app, **others}.items():
        project.recipe(f"local.{name}@r1", body)
    return project.envy("sync", code=1, trace=False).err


def needs(entries):
    """Return a line that declares dependencies."""
    return f"dependencies = {{ {entries} }}\n"


def test_two_providers_of_one_product(project):
    """An ambiguous product lists all providers, and how to choose one."""
    err = failure(project, needs('{ product = "python" }') + TOOL, a=PYTHON, b=PYTHON)
    assert "several packages answer to the product 'python', which local.app@r1 needs" in err
    assert "    local.a@r1\n    local.b@r1\n" in err
    assert "for a product, its provider" in err


def test_a_product_of_a_recipe_that_does_not_provide_it(project):
    """The error names the provider of the product, and what the requested recipe provides."""
    app = needs('{ product = "python", recipe = "b" }') + TOOL
    err = failure(project, app, a=PYTHON, b=TOOL)
    assert "nothing answers to the product 'python' of 'b', which local.app@r1 needs" in err
    assert "it is provided by local.a@r1; local.b@r1 answers to 'b' and provides nothing" in err
    assert "recipes/local.app@r1.lua:2" in err


def test_a_strong_dependency_without_its_product(project):
    """The error has the location of the entry, and names what the recipe provides."""
    app = needs('{ product = "pythn", recipe = "local.b@r1" }') + TOOL
    err = failure(project, app, b=PYTHON)
    assert "recipes/local.app@r1.lua:2: local.b@r1 should provide the product 'pythn'" in err
    assert "but provides python" in err


@pytest.mark.parametrize("path", ["/usr/bin/gn", "../gn", "bin/../../gn"])
@pytest.mark.parametrize("form", ["{{ gn = '{}' }}", "function() return {{ gn = '{}' }} end"])
def test_a_product_outside_the_asset(project, path, form):
    """Absolute paths and paths with `..` are refused before anything is built."""
    err = failure(project, TOOL + f"products = {form.format(path)}")
    assert f'the product gn is "{path}", which is not inside the asset' in err
    assert "relative to the asset, such as bin/gn" in err
    assert project.markers() == []


def test_a_build_dependency_in_the_payload(project):
    """A published file must not contain the path of a build dependency."""
    app = needs('{ recipe = "local.b@r1", use = "build" }')
    app += 'install = function(ctx) ctx.write("out", ctx.asset("b")) end'
    err = failure(project, app, b=TOOL)
    assert "asset/out contains the path of local.b@r1, which is only available while" in err
    assert 'declare local.b@r1 with use = "run"' in err
    assert project.markers() == ["local.b@r1"]


def test_an_asset_that_is_not_declared(project):
    """Access to an undeclared package is refused, and the error has the entry to add."""
    err = failure(project, 'install = function(ctx) ctx.asset("b") end', b=TOOL)
    assert "recipes/local.app@r1.lua:2: ctx.asset('b'): local.app@r1 declares no such" in err
    assert 'add { recipe = "b" } to its `dependencies`; declared: none' in err


def test_an_asset_that_is_declared_for_a_later_phase(project):
    """The error has the first phase in which the asset is available, and how to get it earlier."""
    app = needs('{ recipe = "local.b@r1", needed_by = "install" }')
    app += 'build = function(ctx) ctx.asset("b") end\n' + TOOL
    err = failure(project, app, b=TOOL)
    assert "local.b@r1 is available only from install on, and this is build" in err
    assert 'declare it with needed_by = "build" (or an earlier phase)' in err


def test_an_asset_of_a_user_managed_package(project):
    """A user-managed package has no asset; the error says what to use instead."""
    app = needs('{ recipe = "local.b@r1" }') + 'install = function(ctx) ctx.asset("b") end'
    err = failure(project, app, b='check = "true"\ninstall = "true"')
    assert "ctx.asset('b'): local.b@r1 is user-managed" in err
    assert "ctx.product" in err


VARIANTS = 'options = { v = { type = "string" } }\n' + TOOL
BOTH = needs(
    '{ recipe = "local.b@r1", options = { v = "1" } }, '
    '{ recipe = "local.b@r1", options = { v = "2" } }'
)


def test_two_variants_under_one_name(project):
    """An identity is ambiguous between two variants, and the error has a query for each."""
    project.recipe("local.b@r1", VARIANTS)
    err = failure(project, BOTH + 'install = function(ctx) ctx.asset("local.b@r1") end')
    assert 'local.b@r1{v="1"}\n      local.b@r1{v="2"}\n' in err
    assert 'ctx.asset([[local.b@r1{v="1"}]])' in err


def test_two_variants_are_both_reachable(project):
    """Each variant is found by its full key, or by its option alone."""
    project.recipe("local.b@r1", VARIANTS)
    project.packages("local.app@r1")
    project.recipe(
        "local.app@r1",
        BOTH + "install = function(ctx)\n"
        "  local one, two = ctx.asset([[local.b@r1{v=\"1\"}]]), ctx.asset('b{v=2}')\n"
        "  assert(one ~= two)\n  ctx.mark_install_complete()\nend",
    )
    project.envy("sync")
    assert project.markers() == ["local.app@r1", "local.b@r1", "local.b@r1"]


def test_a_product_that_two_dependencies_provide(project):
    """ctx.product does not choose between two providers, but names both."""
    app = needs('{ recipe = "local.a@r1" }, { recipe = "local.b@r1" }')
    app += 'install = function(ctx) ctx.product("python") end'
    err = failure(project, app, a=PYTHON, b=PYTHON)
    assert "several dependencies provide it: local.a@r1, local.b@r1" in err
    assert 'say which: { product = "python", recipe = "…" }' in err


# -- a recipe outside namespace local never depends on a local one --------------------------------

SHARED = '{ recipe = "vendor.app@v1", source = "recipes/vendor.app@v1.lua" }'


def vendor(project, entries, more=""):
    """Return the errors of a sync of a shared recipe with these dependencies."""
    project.manifest(f"packages = {{ {SHARED}{more} }}")
    project.recipe("vendor.app@v1", needs(entries) + TOOL)
    project.recipe("local.tool@r1", PYTHON)
    return project.envy("sync", code=1, trace=False).err


@pytest.mark.parametrize(
    ("entries", "more"),
    [
        ('{ recipe = "local.tool@r1" }', ""),
        ('{ recipe = "x", weak = { recipe = "local.tool@r1" } }', ""),
        ('{ recipe = "tool" }', ', "local.tool@r1"'),
        ('{ recipe = "t" }', ', { recipe = "local.tool@r1", alias = "t" }'),
        ('{ product = "python" }', ', "local.tool@r1"'),
        ('{ product = "python", recipe = "local.tool@r1", source = "local.tool@r1.lua" }', ""),
    ],
    ids=["strong", "weak", "query", "alias", "product", "strong-product"],
)
def test_a_shared_recipe_must_not_depend_on_a_local_one(project, entries, more):
    """Every kind of edge to a local recipe is refused, with its location."""
    err = vendor(project, entries, more)
    assert "recipes/vendor.app@v1.lua:2: vendor.app@v1 depends on local.tool@r1" in err
    assert "give the dependency a namespace of its own" in err
    assert "vendor.app@v1" not in project.markers()


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ('"local.tool@r1"', ""),
        ('{ recipe = "x", weak = "local.tool@r1" }', ""),
        ('{ recipe = "tool" }', ', "local.tool@r1"'),
    ],
    ids=["strong", "weak", "query"],
)
def test_the_source_of_a_shared_recipe_must_not_depend_on_a_local_one(project, entry, more):
    """The rule also holds for the dependencies of a custom source."""
    source = f"{{ dependencies = {{ {entry} }}, fetch = function(ctx) end }}"
    project.manifest(f'packages = {{ {{ recipe = "vendor.app@v1", source = {source} }}{more} }}')
    project.recipe("local.tool@r1", TOOL)
    err = project.envy("sync", code=1, trace=False).err
    assert "envy.lua:1: vendor.app@v1 depends on local.tool@r1" in err


def test_an_unused_local_fallback_is_refused_too(project):
    """A local fallback is refused even when another package matches."""
    other = ', { recipe = "other.x@v1", source = "recipes/other.x@v1.lua" }'
    project.recipe("other.x@v1", TOOL)
    err = vendor(project, '{ recipe = "x", weak = { recipe = "local.tool@r1" } }', other)
    assert "vendor.app@v1 depends on local.tool@r1" in err


# -- names ---------------------------------------------------------------------------------------


def test_an_alias_computed_from_options(project):
    """An alias may be a function of the options, and finds its variant."""
    project.manifest(
        'packages = { { recipe = "local.gcc@r1", options = { target = "arm" } },\n'
        '  { recipe = "local.gcc@r1", options = { target = "riscv" } } }'
    )
    project.recipe(
        "local.gcc@r1",
        'options = { target = { type = "string" } }\n'
        'alias = function(opts) return opts.target .. "-gcc" end\n'
        "install = function(ctx, opts) ctx.write('target', opts.target) end",
    )
    for target in ("arm", "riscv"):
        folder = project.envy("asset", f"{target}-gcc").out.strip()
        assert (Path(folder) / "target").read_text() == target


def test_an_alias_of_a_recipe_file_answers_references(project):
    """References match the alias in a recipe file; two recipes with one alias are ambiguous."""
    app = needs('{ recipe = "make" }') + TOOL
    project.packages("local.app@r1", "local.gmake@r1")
    project.recipe("local.app@r1", app)
    project.recipe("local.gmake@r1", 'alias = "make"\n' + TOOL)
    project.envy("sync")
    err = failure(project, app, gmake='alias = "make"\n' + TOOL, bmake='alias = "make"\n' + TOOL)
    assert "several packages answer to 'make'" in err


def test_dependencies_computed_from_options(project):
    """A function of the options returns the dependencies and their options."""
    project.manifest(
        'packages = { { recipe = "local.app@r1", options = { debug = true, version = "2" } } }'
    )
    project.recipe(
        "local.app@r1",
        """options = { debug = { type = "boolean" }, version = { type = "string" } }
dependencies = function(opts)
  local found = { { recipe = "local.lib@r1", options = { version = opts.version .. ".1" } } }
  if opts.debug then found[#found + 1] = { recipe = "local.gdb@r1", use = "build" } end
  return found
end
install = function(ctx) ctx.asset("lib{version=2.1}"); ctx.mark_install_complete() end""",
    )
    project.recipe("local.lib@r1", 'options = { version = { type = "string" } }\n' + TOOL)
    project.recipe("local.gdb@r1", TOOL)
    run = project.envy("sync")
    assert sorted(row["key"] for row in run.named("recipe_complete")) == [
        'local.app@r1{debug=true,version="2"}',
        "local.gdb@r1",
        'local.lib@r1{version="2.1"}',
    ]
