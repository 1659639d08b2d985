"""Shims: products whose files have other names, or that an interpreter runs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WHERE = """install = function(ctx)
  ctx.write('bin/cc-14', [[#!/bin/sh
echo "$(basename "$0") $(basename "$(dirname "$0")") $*"
]])
  ctx.chmod('bin/cc-14', '755')
end
products = { cc = "bin/cc-14" }
"""
SCRIPT = """install = "mkdir lib; echo 'echo $(basename $0) $*' > lib/cli.sh"
products = {{ cli = {{ path = "lib/cli.sh", with = "{}" }} }}
"""
SHELL = """install = function(ctx)
  ctx.write('bin/shell', [[#!/bin/sh
echo by $(basename $0)
exec sh "$@"
]])
  ctx.chmod('bin/shell', '755')
end
products = { runner = "bin/shell" }
"""


def shim_of(project, name):
    """Return the only shim of this name in the cache."""
    [found] = (project.cache / "assets").glob(f"*/*/shims/{name}")
    return found


def test_a_program_runs_under_its_own_path(project):
    """A renamed program finds its own file and folder, by name, by path and in scripts."""
    project.packages("local.cc@r1", "local.app@r1")
    project.recipe("local.cc@r1", WHERE)
    project.recipe(
        "local.app@r1",
        'dependencies = { "local.cc@r1" }\n'
        'install = function(ctx) ctx.run(ctx.product("cc") .. " script > said") end',
    )
    folder = project.envy("sync").folder("local.app@r1")
    assert (folder / "said").read_text() == "cc-14 bin script\n"
    assert project.envy("run", "cc", "-c", "a b").out == "cc-14 bin -c a b\n"
    assert project.envy("run", "sh", "-c", "cc nested").out == "cc-14 bin nested\n"
    path = project.envy("product", "cc").out.strip()
    assert Path(path) == shim_of(project, "cc")
    assert path in project.envy("product").out
    direct = subprocess.run([path, "x"], capture_output=True, text=True, check=True)
    assert direct.stdout == "cc-14 bin x\n"


def test_a_renamed_virtual_environment_is_found(project):
    """The interpreter of a virtual environment finds its packages through a shim."""
    project.packages("local.venv@r1")
    project.recipe(
        "local.venv@r1",
        f'install = "{sys.executable} -m venv --without-pip ."\nproducts = {{ py = "bin/python" }}',
    )
    run = project.envy("run", "py", "-c", "import sys; print(sys.prefix)")
    assert run.out == project.envy("asset", "venv").out


def test_a_published_entry_has_its_shims(project):
    """They exist when the package is published: deploy finds them."""
    project.packages("local.cc@r1")
    deploy = "deploy = function(ctx) ctx.run(ctx.asset_dir .. '/../shims/cc > /dev/null') end"
    project.recipe("local.cc@r1", WHERE + deploy)
    project.envy("sync")
    assert shim_of(project, "cc").stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize("words", [["sync"], ["product", "cc", "--no-install"]])
def test_an_entry_without_shims_gets_them(project, words):
    """An entry of an earlier envy, or one that was imported, gets its shims when it is used."""
    project.packages("local.cc@r1")
    project.recipe("local.cc@r1", WHERE)
    project.envy("sync", trace=False)
    shutil.rmtree(shim_of(project, "cc").parent)
    project.envy(*words, trace=False)
    assert shim_of(project, "cc").read_text().startswith("#!/bin/sh\nexec /")


def test_a_moved_cache_gets_other_shims(project):
    """A shim holds a path of the cache, and is written again where that has changed."""
    project.packages("local.cc@r1")
    project.recipe("local.cc@r1", WHERE)
    project.envy("sync")
    project.cache = project.cache.rename(f"{project.cache}-moved")
    assert project.envy("run", "cc").out == "cc-14 bin \n"
    assert str(project.cache) in shim_of(project, "cc").read_text()


# -- interpreters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dependency", ['{ product = "runner" }', '"local.shell@r1"'])
def test_a_product_is_run_with_a_product_of_a_dependency(project, dependency):
    """`with` names a product of a run dependency; the file needs no executable bit."""
    project.packages("local.cli@r1", "local.shell@r1")
    project.recipe("local.shell@r1", SHELL)
    declared = f"dependencies = {{ {dependency} }}\n"
    project.recipe("local.cli@r1", declared + SCRIPT.format("runner"))
    assert project.envy("run", "cli", "a", "b c").out == "by shell\ncli.sh a b c\n"
    path = project.envy("product", "cli").out.strip()
    assert subprocess.run([path], capture_output=True, check=True).stdout.endswith(b"cli.sh\n")


def test_a_product_is_run_with_a_program_of_the_machine(project):
    """`with` may name a program of `host`, which is looked up on PATH."""
    project.packages("local.cli@r1")
    project.recipe("local.cli@r1", 'host = { sh = "echo 1" }\n' + SCRIPT.format("sh"))
    assert project.envy("run", "cli", "x").out == "cli.sh x\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (SCRIPT.format("node"), "the product cli is run with node, which no dependency that is"),
        (SCRIPT.format("cli"), 'the product cli cannot be run with "cli"'),
        (SCRIPT.format("bin/sh"), 'the product cli cannot be run with "bin/sh"'),
        (
            'install = "x"\nproducts = { a = { path = "x", kind = "file", with = "sh" } }',
            "the product a is a file, and has `with`, which runs a program",
        ),
        (
            'check = "x"\ninstall = "x"\nproducts = { a = { path = "x", with = "sh" } }',
            "the product a has `with`, and its package is user-managed",
        ),
        (
            'dependencies = { { recipe = "local.shell@r1", use = "build" } }\n'
            + SCRIPT.format("runner"),
            "the product cli is run with runner, which no dependency that is needed to run",
        ),
        (
            'dependencies = { "local.shell@r1", "local.other@r1" }\n' + SCRIPT.format("runner"),
            "with runner, which several dependencies provide: local.other@r1, local.shell@r1",
        ),
    ],
)
def test_an_interpreter_that_cannot_be_used(project, body, message):
    """The error names the product, the program, the line and what to add."""
    project.recipe("local.shell@r1", SHELL)
    project.recipe("local.other@r1", SHELL)
    run = project.sync_one(body, code=1)
    assert message in run.err
    assert "recipes/local.one@r1.lua:" in run.err
    assert "hint:" in run.err
    assert "local.one@r1" not in project.markers()


# -- products of user-managed packages ------------------------------------------------------------


def test_a_bare_name_is_never_a_shim(project, tmp_path):
    """A user-managed product that is a bare name runs the program of the machine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cc").write_text("#!/bin/sh\necho machine\n")
    (programs / "cc").chmod(0o755)
    project.packages("local.cc@r1")
    project.recipe("local.cc@r1", WHERE)
    shims = Path(project.envy("product", "cc").out.strip()).parent
    project.packages("local.driver@r1")
    products = 'products = { cc = "cc", c = "cc", none = "no-such-program" }'
    project.recipe("local.driver@r1", f'check = "true"\ninstall = "true"\n{products}')
    path = f"{shims}:{programs}:/usr/bin:/bin"
    assert project.envy("run", "cc", env={"PATH": path}).out == "machine\n"
    assert project.envy("run", "c", env={"PATH": path}).out == "machine\n"
    run = project.envy("run", "none", code=127)
    assert "the product none of local.driver@r1 is 'no-such-program', and there is no" in run.err
