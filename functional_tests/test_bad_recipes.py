"""Invalid recipe files: each has its own error, and leaves nothing behind."""

import hashlib
import os
from pathlib import Path

import pytest
from mistakes import Mistakes, assert_clean, fails, one_fails
from project import Project

DECLARATIONS = [
    (
        'instal = "true"',
        "FILE:2: the recipe creates no content",
        "did you mean `install` instead of `instal`?",
    ),
    (
        "about = {}",
        "FILE: the recipe creates no content",
        "add `fetch`, `build` or `install`",
    ),
    ("install = 3", "FILE:2: `install` must be a script (a string) or a function, not a number"),
    (
        'install = { "a", "b" }',
        "FILE:2: `install` must be a script (a string) or a function, not a table",
        "[[ … ]]",
    ),
    (
        'install = ""',
        "FILE:2: `install` must be a script (a string) or a function, not an empty string",
    ),
    (
        'check = "true"',
        "FILE:2: a recipe with `check` is user-managed, and needs `install`",
        "so that `check` succeeds",
    ),
    (
        'check = "true"\nfetch = "x"\ninstall = "true"',
        "FILE:3: a recipe with `check` is user-managed, and must not have `fetch`",
        "move the download to a separate recipe, and depend on that",
    ),
    (
        'deploy = "true"\ninstall = "true"',
        "FILE:2: `deploy` must be a function, not a string",
        "ctx.run([[",
    ),
    (
        'fetch = { source = "a", digest_of_it = "x" }',
        'FILE:2: a source has no field "digest_of_it"',
        "known names: auth, blake3",
    ),
    ("fetch = 3", "FILE:2: a source must be a string or a table with `source`, not a number"),
    (
        'fetch = { "x/a", "y/a" }',
        'FILE:2: two sources have the file name "a": x/a and y/a',
        'dest = "NAME"',
    ),
    (
        'fetch = { source = "a", strip = -1 }',
        "FILE:2: `strip` must be a whole number, 0 or more, not -1",
    ),
    (
        'fetch = "nowhere.txt"',
        "FILE:2: the source ",
        "recipes/nowhere.txt does not exist",
        "is relative to",
    ),
    (
        'fetch = { source = "https://x/y", sha256 = "xyz" }',
        "FILE:2: `sha256` must be 64 hexadecimal digits",
    ),
    ('fetch = "gs://b/x"', 'FILE:2: envy does not support "gs:"', "sources are"),
    (
        "fetch = function() return 3 end",
        (
            "FILE:2: the function returned 3: a source must be a string or a table with `source`, "
            "not a number\n"
        ),
    ),
    (
        'stage = { stripp = 1 }\nfetch = "x"',
        'FILE:2: a stage table has no field "stripp"',
        'did you mean "strip"?',
    ),
    (
        'products = { x = "../up" }\ninstall = "true"',
        'FILE:2: the product x is "../up", which is not inside the asset',
    ),
    (
        'install = "echo > x"\nproducts = function()\n  return 3 end',
        "FILE:3: `products` must be a table of paths, not a number",
        'such as { gn = "bin/gn" }',
    ),
    (
        'exports = { pth = { "bin" } }\ninstall = "true"',
        'FILE:2: `exports` has no field "pth"',
        'did you mean "path"?',
    ),
    (
        'about = { licence = "MIT" }\ninstall = "true"',
        'FILE:2: `about` has no field "licence"',
        'did you mean "license"?',
    ),
    (
        'platforms = { "plan9" }\ninstall = "true"',
        "FILE:2: 'plan9' is not a platform",
        "linux, darwin",
    ),
    (
        'pass_env = "X"\ninstall = "true"',
        "FILE:2: `pass_env` must be an array of non-empty strings",
        'pass_env = { "X" }',
    ),
    (
        'alias = "a.b"\ninstall = "true"',
        'FILE:2: the alias "a.b" contains a character that is not allowed',
    ),
    (
        'inputs = { "no/*.txt" }\ninstall = "true"',
        "FILE:2: `inputs` names 'no/*.txt', but there is no such file",
        "beside the recipe",
    ),
    (
        'host = { "no-such-program" }\ninstall = "true"',
        "FILE:2: `host` names no-such-program",
        "install no-such-program on this machine",
    ),
    (
        'options = { v = { type = "strng" } }\ninstall = "true"',
        "FILE:2: option v has an unknown type, 'strng'",
        "types are string",
    ),
    (
        'options = { v = { type = "string", default = 3 } }\ninstall = "true"',
        "FILE:2: the default of option v must be a string",
    ),
    (
        'options = { v = { type = "string", required = true } }\ninstall = "true"',
        "the recipe needs the option v, a string",
    ),
    (
        'dependencies = "local.b@r1"\ninstall = "true"',
        "FILE:2: `dependencies` must be an array of entries, not a string",
    ),
    (
        (
            'dependencies = {\n  { recipe = "local.b@r1",\n    needed_by = "bild" } }\n'
            'install = "true"'
        ),
        'FILE:4: `needed_by` is not a phase: "bild"',
        'did you mean "build"?',
    ),
    (
        'dependencies = {\n  { recipie = "local.b@r1" } }\ninstall = "true"',
        'FILE:3: an entry has no field "recipie"',
        'did you mean "recipe"?',
    ),
    (
        'install = "true"\ncheck = function()\n  return 3 end',
        "FILE:3: `check` must return true, false, or a script, not 3",
        "for example",
    ),
    (
        'build = "true"',
        "FILE:2: there is nothing to publish: nothing was fetched or built",
        "ctx.mark_install_complete()",
    ),
    (
        'install = "true"',
        "FILE:2: there is nothing to publish: install left its folder empty",
        "ctx.mark_install_complete()",
    ),
    (
        "install = function() return 3 end",
        "FILE:2: there is nothing to publish: install left its folder empty",
    ),
]


@pytest.fixture(scope="module")
def declarations(tmp_path_factory):
    """Sync all of the recipes in one run, in which no mistake hides another."""
    return Mistakes(Project(tmp_path_factory.mktemp("declarations") / "project"), DECLARATIONS)


@pytest.mark.parametrize("number", range(len(DECLARATIONS)))
def test_a_mistake_in_a_recipe(declarations, number):
    """The error has recipe, phase, file, line, declaration and remedy."""
    declarations.check(number, *DECLARATIONS[number][1:])


def test_recipes_with_mistakes_leave_nothing(declarations):
    """No marker, lock or process remains, and the last line counts the failures."""
    output = declarations.outcome.err
    assert_clean(declarations.project, output)
    assert f"{len(DECLARATIONS)} failed" in output.splitlines()[-1]


def test_a_recipe_of_another_identity(project):
    """The error has both identities, and where each is written."""
    project.packages("local.a@r1")
    project.write("recipes/local.a@r1.lua", 'identity = "local.b@r1"\ninstall = "true"')
    fails(
        project,
        'local.a@r1.lua:1: the recipe is "local.b@r1", and envy.lua:2 requests "local.a@r1"',
        "make the two the same",
    )


def test_a_recipe_without_identity(project):
    """The error has the line to add."""
    project.packages("local.a@r1")
    project.write("recipes/local.a@r1.lua", 'install = "true"')
    fails(project, "the recipe has no `identity`", 'add identity = "local.a@r1"')


def test_a_missing_recipe_file(project):
    """The error has the path, the declaration, and a file that was perhaps meant."""
    project.packages("local.pyhton@r1")
    project.recipe("local.python@r1", "")
    fails(
        project,
        f"envy.lua:2: there is no recipe file {project.root}/recipes/local.pyhton@r1.lua",
        "did you mean local.python@r1.lua?",
    )


def test_a_pipe_instead_of_a_recipe(project):
    """A pipe instead of a recipe is an error, and envy does not wait for it."""
    project.packages("local.a@r1")
    (project.root / "recipes").mkdir()
    os.mkfifo(project.root / "recipes/local.a@r1.lua")
    fails(project, "local.a@r1.lua is not a regular file", "declared in envy.lua:2")


def test_a_dependency_without_its_file(project):
    """The error says which recipe declares it, and that its dependent was not built."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'dependencies = {\n  "local.b@r1" }\ninstall = "true"')
    fails(
        project,
        "recipes/local.a@r1.lua:3: there is no recipe file",
        "declared in recipes/local.a@r1.lua:3, needed by local.a@r1",
        "local.a@r1: not built, because local.b@r1 failed",
    )


def test_a_recipe_file_with_another_digest(project):
    """The error shows the expected and the actual digest."""
    path = project.recipe("local.a@r1", 'install = "echo > x"')
    project.manifest(
        f'packages = {{ {{ recipe = "local.a@r1", source = "recipes/{path.name}", '
        f'sha256 = "{"0" * 64}" }} }}'
    )
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    fails(
        project, "does not match the declared digest", f"expected {'0' * 64}", f"actual   {actual}"
    )


def test_a_download_with_another_digest(project):
    """Nothing of the file is used, and the error says which digest to declare."""
    data = project.write("data.txt", "hello")
    actual = hashlib.sha256(data.read_bytes()).hexdigest()
    one_fails(
        project,
        f'fetch = {{ source = "../data.txt", sha256 = "{"0" * 64}" }}',
        "sha256 of ../data.txt does not match the declared digest",
        f"actual   {actual}",
        "declare the actual digest",
    )


@pytest.mark.parametrize(
    ("options", "reason", "remedy"),
    [
        ('versoin = "1"', 'the recipe has no option "versoin"', 'did you mean "version"?'),
        ("version = 3", "option version must be a string, not a number", 'version = "3"'),
        ('version = "3"', 'option version is "3", which is not among its choices', '"1", "2"'),
        ("", "the recipe needs the option version, a string", "options = { version = … }"),
        ('version = "1", jobs = "x"', "option jobs must be an integer, not a string", ""),
    ],
)
def test_an_invalid_option(project, options, reason, remedy):
    """Options are checked before anything is fetched; the error has the line that sets them."""
    project.manifest(
        'packages = {\n  { recipe = "local.a@r1", options = { ' + options + " } },\n}\n"
    )
    project.recipe(
        "local.a@r1",
        'options = { version = { type = "string", required = true, choices = { "1", "2" } },\n'
        '  jobs = { type = "integer", default = 1 } }\nfetch = "nowhere.txt"',
    )
    fails(project, f"envy.lua:2: {reason}", remedy, "declared in envy.lua:2")


def test_an_unreadable_recipe(project, unprivileged):
    """Missing read permission is reported as the reason."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'install = "true"').chmod(0)
    fails(
        project,
        "envy.lua:2: cannot read the recipe file",
        "Permission denied",
        under=unprivileged,
    )


@pytest.mark.parametrize(
    ("install", "product", "message", "hint"),
    [
        ("mkdir lib; echo > lib/tool", "'bin/tool'", 'is "bin/tool", which does not', "lib/tool?"),
        ("echo > took", "'tool'", 'is "tool", which does not exist in', "did you mean took?"),
        ("echo > x", "'bin/tool'", "which does not exist in", "create it in `install`"),
        ("echo > x", "{ path = 'y.txt', kind = 'file' }", "does not exist", "create it in"),
        ("ln -s nowhere tool", "'tool'", "a link to nowhere, which does not exist", "the link in"),
        ("echo > tool", "'tool'", "asset/tool is not executable", 'path = "tool", kind = "file" }'),
        ("mkdir tool; echo > tool/x", "'tool'", "asset/tool is not a file", 'kind = "file" }'),
    ],
)
def test_a_product_that_cannot_be_used(project, install, product, message, hint):
    """A product that is missing or is not a program fails the install, which names it."""
    outcome = project.sync_one(f'install = "{install}"\nproducts = {{ tool = {product} }}', code=1)
    assert "error: local.one@r1: install failed" in outcome.err
    assert "recipes/local.one@r1.lua:3: the product tool " in outcome.err
    assert message in outcome.err
    assert hint in outcome.err
    assert project.markers() == []


def test_a_missing_product_of_a_version_that_is_not_known(project):
    """The error says that the recipe does not know the version, and which versions it knows."""
    known = 'known = { ["1.0"] = {}, ["2.0"] = {} }'
    options = f'options = {{ version = {{ type = "string", default = "0.5", {known} }} }}'
    outcome = project.sync_one(f'{options}\ninstall = "echo > x"\nproducts = {{ t = "t" }}', code=1)
    assert "version 0.5 is not among those that the recipe knows: 1.0, 2.0" in outcome.err


def test_a_product_that_is_a_file(project):
    """A product that is declared as a file needs no executable bit, and may be a folder."""
    products = "a = { path = 'x', kind = 'file' }, b = { path = 'd', kind = 'file' }"
    project.sync_one(f'install = "echo > x; mkdir d"\nproducts = {{ {products} }}')


def test_a_product_of_unknown_kind(project):
    """A misspelt kind is an error with the location and the kinds."""
    body = "install = 'x'\nproducts = { a = { path = 'x', kind = 'fiel' } }"
    outcome = project.sync_one(body, code=1)
    assert 'lua:3: `kind` of a product must be "program" or "file", not "fiel"' in outcome.err
    assert 'did you mean "file"?' in outcome.err


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.chmod(0o444)])
def test_a_found_package_without_its_product(project, change):
    """A package that lost a product fails where it is found, with how to rebuild it."""
    body = 'install = "echo > tool; chmod +x tool"\nproducts = { tool = "tool" }'
    folder = project.make(body)
    folder.chmod(0o755)
    change(folder / "tool")
    for words in (["product", "tool"], ["product", "tool", "--no-install"]):
        outcome = project.envy(*words, code=1)
        assert "the product tool " in outcome.err
        assert "envy cache verify --repair 'local.one@r1'" in outcome.err
        assert outcome.out == ""
