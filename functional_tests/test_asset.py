"""`envy asset`: which package a query finds, what is installed for it, and what is printed."""

from pathlib import Path

import pytest

PYTHONS = """packages = {
  { recipe = "local.python@r4", options = { version = "3.13", debug = true, level = 2 },
    alias = "py" },
  "local.app@r1",
}"""


@pytest.fixture
def pythons(project):
    """A package with options and an alias, and one that depends on a library."""
    project.manifest(PYTHONS)
    project.recipe("local.python@r4", 'alias = "snake"\ninstall = "echo python > python.txt"')
    project.recipe(
        "local.app@r1", 'dependencies = { "local.lib.core@r2" }\ninstall = "echo app > app.txt"'
    )
    project.recipe("local.lib.core@r2", 'install = "echo lib > lib.txt"')
    return project


def asset(project, *words, **details):
    """Return the folder that `envy asset` prints."""
    out = project.envy("asset", *words, **details).out
    assert out.endswith("\n")
    path = Path(out[:-1])
    assert path.is_absolute()
    return path


@pytest.mark.parametrize(
    "query",
    [
        'local.python@r4{debug=true,level=2,version="3.13"}',
        "local.python@r4",
        "local.python",
        "python@r4",
        "python",
        "py",
        "snake",
        "python{version=3.13}",
        'python{version="3.13"}',
        "python{debug=true}",
        "local.python{level=2, debug=true}",
        "local.python@r4{version=3.13}",
    ],
)
def test_every_form_of_a_query_finds_the_package(pythons, query):
    """A key, an identity, a name, a revision, options, and both kinds of alias find the package."""
    assert (asset(pythons, query) / "python.txt").read_text() == "python\n"


@pytest.mark.parametrize("query", ["lib.core", "local.lib.core", "lib.core@r2"])
def test_a_dependency_is_found_by_a_short_name(pythons, query):
    """A package that is only a dependency is found too, even if its name contains a dot."""
    assert (asset(pythons, query) / "lib.txt").read_text() == "lib\n"


@pytest.mark.parametrize(
    "query", ["python{version=3.12}", "python{level=3}", "python@r3", "other.python", "core"]
)
def test_a_query_must_match_in_all_its_parts(pythons, query):
    """A query with another option value, revision, namespace or part of a name finds nothing."""
    run = pythons.envy("asset", query, code=1)
    assert run.out == ""
    assert f"no package answers to {query!r}" in run.err


def test_a_misspelt_name_gets_a_suggestion(pythons):
    """For a misspelt name, the error suggests the name that was probably meant."""
    run = pythons.envy("asset", "pyhton", code=1)
    assert "did you mean python?" in run.err


def test_an_invalid_query_shows_the_forms_of_a_query(pythons):
    """A text that is not a valid query is an error that shows the forms of a query."""
    run = pythons.envy("asset", "../python", code=1)
    assert "does not name a package" in run.err
    assert "namespace.name@revision" in run.err


def test_only_what_the_package_needs_is_installed(pythons):
    """Only the package and its dependencies are installed, and no other package of the manifest."""
    asset(pythons, "app")
    assert pythons.markers() == ["local.app@r1", "local.lib.core@r2"]


def test_an_installed_package_runs_no_script(pythons):
    """The second time, the path is printed and no script runs."""
    first = asset(pythons, "py")
    run = pythons.envy("asset", "py")
    assert run.out == f"{first}\n"
    assert run.err == ""
    assert run.named("lua_ctx_run_start") == []


def test_only_the_path_goes_to_stdout(project):
    """Whatever recipes print goes to standard error."""
    project.packages("local.loud@r1")
    project.recipe(
        "local.loud@r1",
        """print("printed") envy.stdout("stdout") envy.warn("warned")
        install = "echo from the script; echo x > x.txt" """,
    )
    run = project.envy("asset", "loud", "--verbose")
    assert run.out.count("\n") == 1
    assert Path(run.out.strip()).is_dir()
    assert "stdout" in run.err


def test_a_failure_prints_no_path(project):
    """A package that cannot be installed leaves standard output empty."""
    project.packages("local.broken@r1")
    project.recipe("local.broken@r1", 'install = "exit 3"')
    run = project.envy("asset", "broken", code=1)
    assert run.out == ""
    assert "exited 3" in run.err


VARIANTS = """packages = {
  { recipe = "local.python@r4", options = { version = "3.12" } },
  { recipe = "local.python@r4", options = { version = "3.13" }, alias = "new" },
  { recipe = "local.python@r4", alias = "plain" },
}"""


@pytest.fixture
def variants(project):
    """Three variants of one recipe."""
    project.manifest(VARIANTS)
    project.recipe(
        "local.python@r4",
        'install = function(ctx, opts) ctx.write("v.txt", opts.version or "none") end',
    )
    return project


def test_an_ambiguous_query_lists_a_query_for_each(variants):
    """Each candidate in the error is a query that finds one package."""
    run = variants.envy("asset", "python", code=1)
    assert "3 packages answer to" in run.err
    found = set()
    for row in run.err.splitlines():
        if row.startswith("    "):
            found.add((asset(variants, row.strip()) / "v.txt").read_text())
    assert found == {"3.12", "3.13", "none"}


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("python{version=3.12}", "3.12"),
        ("new", "3.13"),
        ("plain", "none"),
        ("local.python@r4", "none"),
    ],
)
def test_options_and_aliases_tell_variants_apart(variants, query, version):
    """Variants are installed side by side, and found by options, by alias, or by the whole key."""
    assert (asset(variants, query) / "v.txt").read_text() == version


def test_a_manifest_alias_wins_over_a_name(project):
    """An alias in the manifest takes precedence over the name of another package."""
    project.manifest(
        'packages = { { recipe = "local.new@r1", alias = "old" }, "local.old@r1" }',
    )
    project.recipe("local.new@r1", 'install = "echo new > name.txt"')
    project.recipe("local.old@r1", 'install = "echo old > name.txt"')
    assert (asset(project, "old") / "name.txt").read_text() == "new\n"
    assert (asset(project, "local.old") / "name.txt").read_text() == "old\n"


def test_an_alias_of_two_recipes_is_ambiguous(project):
    """If two recipes declare the same alias, querying it lists both."""
    project.packages("local.a@r1", "local.b@r1")
    for name in ("a", "b"):
        project.recipe(f"local.{name}@r1", 'alias = "tool"\ninstall = "touch x"')
    run = project.envy("asset", "tool", code=1)
    assert "local.a@r1" in run.err
    assert "local.b@r1" in run.err


def test_no_install_of_a_missing_package_is_an_error(pythons):
    """--no-install names missing packages, including dependencies, and installs nothing."""
    run = pythons.envy("asset", "app", "--no-install", code=1)
    assert "local.app@r1" in run.err
    assert "local.lib.core@r2" in run.err
    assert pythons.markers() == []


def test_no_install_prints_an_installed_package(pythons):
    """--no-install prints the path of an installed package."""
    first = asset(pythons, "app")
    assert asset(pythons, "app", "--no-install") == first


def test_a_user_managed_package_has_no_folder(project):
    """The error says that the package is user-managed; nothing is checked or installed."""
    project.packages("local.driver@r1")
    project.recipe("local.driver@r1", 'check = "touch checked"\ninstall = "true"')
    run = project.envy("asset", "driver", code=1)
    assert "local.driver@r1 is user-managed" in run.err
    assert run.out == ""
    assert not (project.root / "checked").exists()


def test_another_packages_broken_recipe_does_not_matter(pythons):
    """A recipe that cannot be read does not affect queries for other packages."""
    pythons.manifest(PYTHONS.replace('"local.app@r1"', '"local.app@r1", "local.broken@r1"'))
    pythons.recipe("local.broken@r1", "this is no Lua")
    assert (asset(pythons, "app") / "app.txt").exists()
