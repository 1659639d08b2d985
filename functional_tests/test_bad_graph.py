"""Recipes that do not fit together: cycles, undeclared access, and the effects of failures."""

import itertools

import pytest
from mistakes import Mistakes, assert_clean, fails
from project import Project


def ring(project, names):
    """Write recipes that each depend on the next, and the last on the first."""
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        project.recipe(
            f"local.{name}@r1", f'install = "true"\ndependencies = {{\n  "local.{following}@r1" }}'
        )


def cycle(*names):
    """Return the error for a cycle through these recipes."""
    keys = [f"local.{name}@r1" for name in (*names, names[0])]
    steps = itertools.pairwise(keys)
    return (
        "error: dependency cycle: "
        + " → ".join(keys)
        + "\n"
        + "".join(
            f"    {key} needs {following} by its check phase (recipes/{key}.lua:4)\n"
            for key, following in steps
        )
        + "  hint: remove one of these dependencies"
    )


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
@pytest.mark.parametrize("all_are_roots", [False, True])
def test_a_cycle(project, names, all_are_roots):
    """The error shows the whole cycle and the location of each edge, wherever the search began."""
    ring(project, list(names))
    project.packages(*[f"local.{name}@r1" for name in (names if all_are_roots else names[-1])])
    outcome = fails(project, cycle(*names))
    assert outcome.err.count("\n") == len(names) + 2


def test_a_cycle_through_a_recipe_that_another_parent_started(project):
    """In a → b → c → b, where a also starts c, the cycle is found without a chain of ancestors."""
    project.packages("local.a@r1", "local.c@r1")
    project.recipe("local.a@r1", 'install = "true"\ndependencies = { "local.b@r1", "local.c@r1" }')
    ring(project, ["b", "c"])
    fails(project, cycle("b", "c"))


def test_the_shortest_cycle_is_reported(project):
    """Of several cycles, only the shortest is reported."""
    ring(project, ["a", "b", "c"])
    ring(project, ["x", "y"])
    project.packages("local.a@r1", "local.x@r1")
    assert "local.a@r1" not in fails(project, cycle("x", "y")).err


def test_a_broken_recipe_beside_a_cycle_is_reported_too(project):
    """A recipe that cannot be read is reported together with the cycle."""
    ring(project, ["a", "b"])
    project.packages("local.a@r1", "local.broken@r1")
    project.recipe("local.broken@r1", "install = 3")
    fails(project, cycle("a", "b"), "error: local.broken@r1: recipe_fetch failed\n")


def test_one_key_from_two_sources(project):
    """A recipe may not declare a different source for a package of the manifest."""
    project.packages("local.a@r1", "local.b@r1")
    project.recipe("local.a@r1", 'install = "true"')
    project.write("recipes/other.lua", 'identity = "local.a@r1"\ninstall = "true"')
    project.recipe(
        "local.b@r1",
        'dependencies = { { recipe = "local.a@r1", source = "other.lua" } }\ninstall = "true"',
    )
    fails(
        project,
        "error: local.a@r1 is declared from 2 different sources\n",
        f"envy.lua:2: {project.root}/recipes/local.a@r1.lua\n",
        f"recipes/local.b@r1.lua:2: {project.root}/recipes/other.lua\n",
        "or another revision",
    )


def test_a_shared_recipe_that_needs_a_local_one(project):
    """A recipe that other projects can use may not depend on a local one."""
    project.manifest('packages = { { recipe = "acme.b@r1", source = "recipes/acme.b@r1.lua" } }')
    project.recipe("local.a@r1", 'install = "true"')
    project.recipe("acme.b@r1", 'dependencies = { "local.a@r1" }\ninstall = "true"')
    fails(
        project,
        "recipes/acme.b@r1.lua:2: acme.b@r1 depends on local.a@r1: a recipe outside namespace "
        "local may not depend on a local one",
        "make the dependent local",
    )


ACCESS = [
    (
        'build = function(ctx)\n  ctx.asset("stranger")\nend',
        "FILE:3: ctx.asset('stranger'): NAME declares no such dependency",
        'add { recipe = "stranger" } to its `dependencies`; declared: none',
    ),
    (
        (
            'dependencies = { { recipe = "local.plain@r1", needed_by = "install" } }\n'
            'build = function(ctx)\n  ctx.asset("plain")\nend'
        ),
        "FILE:4: ctx.asset('plain'): local.plain@r1 is available only from install on",
        'declare it with needed_by = "build" (or an earlier phase)',
    ),
    (
        'dependencies = { "local.machine@r1" }\nbuild = function(ctx)\n  ctx.asset("machine")\nend',
        "FILE:4: ctx.asset('machine'): local.machine@r1 is user-managed",
        "with ctx.product",
    ),
    (
        (
            'dependencies = { { recipe = "local.variant@r1", options = { n = 1 } },\n'
            '  { recipe = "local.variant@r1", options = { n = 2 } } }\n'
            'build = function(ctx)\n  ctx.asset("variant")\nend'
        ),
        "FILE:5: ctx.asset('variant') matches several dependencies:\n",
        "local.variant@r1{n=1}\n",
        "use the full key, with its options",
    ),
    (
        'dependencies = { "local.one@r1", "local.two@r1" }\ninstall = "echo > x"',
        "FILE:3: local.one@r1 and local.two@r1 export different values for COLOUR: 'red' and ",
        "leave one out, with `exports = false` in its entry",
    ),
    (
        'build = function(ctx)\n  ctx.product("tool")\nend',
        "FILE:3: ctx.product('tool'): no dependency of NAME provides it",
        'declare it: { product = "tool" }',
    ),
]


@pytest.fixture(scope="module")
def access(tmp_path_factory):
    """Sync all of the cases in one run."""
    project = Project(tmp_path_factory.mktemp("access") / "project")
    project.recipe("local.plain@r1", 'install = "echo > x"')
    project.recipe("local.machine@r1", 'check = "true"\ninstall = "true"')
    project.recipe(
        "local.variant@r1", 'options = { n = { type = "integer" } }\ninstall = "echo > x"'
    )
    for name, colour in (("one", "red"), ("two", "blue")):
        exports = f'exports = {{ env = {{ COLOUR = "{colour}" }} }}'
        project.recipe(f"local.{name}@r1", f'install = "echo > x"\n{exports}')
    return Mistakes(project, ACCESS)


@pytest.mark.parametrize("number", range(len(ACCESS)))
def test_undeclared_access(access, number):
    """The error names the dependency, the reason, the line, and what to write instead."""
    access.check(number, *ACCESS[number][1:])


def test_a_failure_with_twenty_dependents(project):
    """The root cause is reported once, with its log, and each dependent in one line."""
    project.recipe("local.root@r1", 'install = "seq 30; exit 3"')
    dependents = [f"local.d{number:02}@r1" for number in range(20)]
    for number, name in enumerate(dependents):
        needed = "local.root@r1" if number % 2 == 0 else dependents[number - 1]
        project.recipe(name, f'dependencies = {{ "{needed}" }}\ninstall = "echo > x"')
    project.packages(*dependents)
    outcome = fails(
        project,
        "recipes/local.root@r1.lua:2: script exited 3: seq 30; exit 3",
        "sync failed: 21 packages, 1 failed, 20 not built (0 cached)",
    )
    lines = outcome.err.splitlines()
    (log,) = [line for line in lines if line.startswith("  log: ")]
    assert log.endswith("install.log (last 20 lines follow)")
    start = lines.index(log) + 1
    assert lines[start : start + 20] == [f"    {number}" for number in range(11, 31)]
    assert lines[start + 20 : -1] == [
        f"{name}: not built, because local.root@r1 failed"
        + ("" if number % 2 == 0 else f", which {dependents[number - 1]} needs")
        for number, name in enumerate(dependents)
    ]
    # The progress adds one line for the failure, and nothing else.
    assert lines[: lines.index("error: local.root@r1: install failed")] == [
        line for line in lines if line.startswith("failed local.root@r1 in install (")
    ]


def test_other_branches_go_on(project):
    """Packages that do not depend on a failed one are installed."""
    project.packages("local.bad@r1", "local.good@r1")
    project.recipe("local.bad@r1", 'install = "exit 3"')
    project.recipe("local.good@r1", 'install = "echo > x"')
    fails(project, "script exited 3", markers=["local.good@r1"])


def test_fail_fast_ends_with_the_code_of_a_failure(project):
    """--fail-fast exits with 1, not 130, and counts the packages that were not built."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'dependencies = { "local.bad@r1" }\ninstall = "echo > x"')
    project.recipe("local.bad@r1", 'install = "exit 3"')
    fails(project, "script exited 3", "1 failed, 1 not built", words=("sync", "--fail-fast"))


@pytest.mark.parametrize(
    ("query", "reason", "remedy"),
    [
        ("pyhton", "no package answers to 'pyhton'; did you mean python?", ""),
        ("zzz", "no package answers to 'zzz'", "packages here: machine, python"),
        ("a{", "a missing brace", "options are written"),
        ("a b", "'a b' does not name a package", "name@revision"),
        ("", "'' does not name a package", "name@revision"),
        ("machine", "local.machine@r1 is user-managed", "run its programs by name"),
        (
            "python",
            "2 packages answer to 'python'; use one of these queries\n",
            "{v=1}\n    local.python@r1{v=2}",
        ),
    ],
)
def test_a_query_that_does_not_find_one_package(project, query, reason, remedy):
    """The error lists what exists or what to query instead; standard output stays empty."""
    project.manifest(
        'packages = { "local.machine@r1",\n { recipe = "local.python@r1", options = { v = 1 } },\n'
        ' { recipe = "local.python@r1", options = { v = 2 } } }'
    )
    project.recipe("local.machine@r1", 'check = "true"\ninstall = "true"')
    project.recipe("local.python@r1", 'install = "echo > x"')
    assert fails(project, f"error: {reason}", remedy, words=("asset", query)).out == ""


def test_an_asset_that_cannot_be_built_prints_nothing(project):
    """The failure is reported as by sync, and no path is printed."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'install = "exit 3"')
    outcome = fails(project, "script exited 3", "asset failed: 1 package", words=("asset", "a"))
    assert outcome.out == ""


def test_a_query_when_a_recipe_cannot_be_read(project):
    """The error adds which recipe could not be read, since the query may mean that one."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", "install = 3")
    fails(
        project,
        "no package answers to 'zzz'",
        "error: local.a@r1: recipe_fetch failed",
        "not all recipes could be read (local.a@r1)",
        words=("asset", "zzz"),
    )


def test_two_packages_with_one_product(project):
    """`envy run` does not choose between two providers, and says how to choose."""
    project.packages("local.b@r1", "local.c@r1")
    for name in ("b", "c"):
        project.recipe(
            f"local.{name}@r1", 'install = "echo > x; chmod +x x"\nproducts = { tool = "x" }'
        )
    outcome = project.envy("run", "tool", code=1, trace=False)
    assert "both local.b@r1 and local.c@r1 provide the product 'tool'" in outcome.err
    assert "--with QUERY" in outcome.err
    assert_clean(project, outcome.err, markers=[])
