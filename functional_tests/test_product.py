"""`envy product`: the path of a product, whichever package provides it, and the list."""

import json
from pathlib import Path

PYTHON = (
    'install = "mkdir bin; echo python > bin/python; chmod +x bin/python"\n'
    'products = { python = "bin/python" }'
)


def test_the_provider_is_installed_and_its_path_printed(project):
    """One line on standard output, that of the file."""
    project.packages("local.app@r1")
    project.recipe(
        "local.app@r1",
        'dependencies = { { product = "python", weak = { recipe = "local.py@r1" } } }\n'
        'install = "touch app"',
    )
    project.recipe("local.py@r1", PYTHON)
    path = Path(project.envy("product", "python").out.removesuffix("\n"))
    assert path.read_text() == "python\n"
    assert project.markers() == ["local.py@r1"]


def test_no_install_fails_when_it_is_missing(project):
    """With --no-install nothing is installed, and the error names the missing package."""
    project.packages("local.py@r1")
    project.recipe("local.py@r1", PYTHON)
    run = project.envy("product", "python", "--no-install", code=1)
    assert "not installed: local.py@r1" in run.err
    project.envy("sync")
    row = json.loads(project.envy("product", "python", "--no-install", "--json").out)
    assert (row["provider"], row["installed"]) == ("local.py@r1", True)
    assert row["value"].endswith("asset/bin/python")


def test_several_providers_are_listed(project):
    """The command does not choose, and --recipe says whose product is meant."""
    project.packages("local.a@r1", "local.b@r1")
    for name in ("a", "b"):
        project.recipe(f"local.{name}@r1", PYTHON)
    err = project.envy("product", "python", code=1).err
    assert "2 packages provide the product 'python'\n    local.a@r1\n    local.b@r1" in err
    assert "envy product python --recipe local.a@r1" in err
    assert "local.b@r1" in project.envy("product", "python", "--recipe", "b").out


def test_an_unknown_product_names_the_nearest(project):
    """A misspelt product is an error that lists what there is."""
    project.packages("local.py@r1")
    project.recipe("local.py@r1", PYTHON)
    err = project.envy("product", "pyhton", code=1).err
    assert "no package provides the product 'pyhton'; did you mean python?" in err
    project.envy("sync")
    for words in (("product", "ctest"), ("asset", "cmake"), ("run", "ctest")):
        code = 127 if words[0] == "run" else 1
        err = project.envy(*words, env={"PATH": ""}, code=code).err
        assert 'add "envy.cmake@r1" to `packages` in the manifest' in err


def test_all_products_are_listed_without_installing(project):
    """Without a name every product is shown with its provider; nothing is installed."""
    project.packages("local.py@r1", "local.b@r1")
    project.recipe("local.py@r1", PYTHON)
    project.recipe(
        "local.b@r1", 'install = "touch z"\nproducts = { abc = { path = "z", kind = "file" } }'
    )
    lines = project.envy("product").out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["abc", "local.b@r1"],
        ["python", "local.py@r1"],
    ]
    assert all(line.endswith("(not installed)") for line in lines)
    listed = json.loads(project.envy("product", "--json").out)["products"]
    assert [row["installed"] for row in listed] == [False, False]
    assert project.markers() == []


def test_products_of_a_user_managed_package(project):
    """Products of a user-managed package are known once its check succeeds, printed unchanged."""
    project.packages("local.cc@r1")
    check = project.root / "cc"
    project.recipe(
        "local.cc@r1",
        f"check = 'test -e {check}'\ninstall = 'touch {check}'\n"
        'products = function(ctx) return { cc = "/usr/bin/cc" } end',
    )
    err = project.envy("product", "cc", code=1).err
    assert "local.cc@r1 may provide more once installed" in err
    assert not check.exists()
    project.envy("sync", "--yes")
    assert project.envy("product", "cc").out == "/usr/bin/cc\n"
