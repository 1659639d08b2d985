"""The environment of scripts, and of os.getenv in a phase."""

import re
from pathlib import Path

import pytest

OUTSIDE = {
    "UNRELATED": "x",
    "PASSED": "p",
    "SECRET": "hunter2-and-more",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "no_proxy": "localhost",
    "SSL_CERT_FILE": "/nowhere/certificates.pem",
    "TERM": "some-terminal",
    "USER": "somebody",
    "LANG": "de_DE.UTF-8",
    "TMPDIR": "/nowhere",
}
PRINT = 'function(ctx) ctx.run("env > " .. ctx.options.folder .. "/{}.txt") end'


def variables(path):
    """Return the variables that `env` printed into a file."""
    rows = [row.partition("=") for row in path.read_text().splitlines()]
    return {name: value for name, _, value in rows}


@pytest.fixture
def phases(project, tmp_path):
    """Return the environment of each phase of a recipe: phase to variables."""
    project.manifest(
        f"""packages = {{ {{ recipe = "local.one@r1",
          options = {{ folder = "{tmp_path}", ["deep-name"] = true, level = 3 }} }} }}"""
    )
    body = 'pass_env = { "PASSED", "NOT_SET" }\nsecret_env = { "SECRET" }\n'
    body += "".join(
        f"{phase} = {PRINT.format(phase)}\n" for phase in ("fetch", "stage", "build", "deploy")
    )
    body += (
        'install = function(ctx) ctx.run("env > " .. ctx.options.folder .. "/install.txt") '
        'ctx.write("x", "") end'
    )
    project.recipe("local.one@r1", body)
    run = project.envy("sync", "--jobs", "3", env=OUTSIDE)
    run.variables = {
        phase: variables(tmp_path / f"{phase}.txt")
        for phase in ("fetch", "stage", "build", "install", "deploy")
    }
    return run


def test_building_is_isolated(phases):
    """stage, build and install get a short list of variables, whatever is set outside."""
    for phase in ("stage", "build", "install"):
        found = phases.variables[phase]
        assert "UNRELATED" not in found
        assert found["LANG"] == "C.UTF-8"
        assert found["TMPDIR"].endswith("/work/tmp")
        assert found["PASSED"] == "p"
        assert "NOT_SET" not in found
        for name in ("SECRET", "HTTP_PROXY", "no_proxy", "SSL_CERT_FILE", "TERM", "USER"):
            assert found[name] == OUTSIDE[name]
        assert {"PATH", "HOME"} <= found.keys()


@pytest.mark.parametrize("phase", ["fetch", "deploy"])
def test_other_phases_inherit(phases, phase):
    """fetch, which may need credentials, and deploy get the user's environment."""
    assert phases.variables[phase].items() >= OUTSIDE.items()


def test_an_isolated_environment_has_no_other_variables(phases):
    """Each variable in isolation is on the list, or set by the shell or by envy."""
    listed = {"PATH", "HOME", "USER", "TERM", "LOGNAME", "LANG", "TMPDIR", "PASSED", "SECRET"}
    listed.add("GIT_CEILING_DIRECTORIES")
    listed.add("MAKEFLAGS")  # with the jobserver, and nothing else
    listed |= {"LIBRARY_PATH", "CCC_OVERRIDE_OPTIONS"}  # for compilers
    proxies_and_certificates = re.compile(r".*_(PROXY|proxy|FILE|DIR|CERT|BUNDLE|CERTS|CAINFO)")
    by_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    for name in phases.variables["build"].keys() - listed - by_shell:
        assert name.startswith("ENVY_") or proxies_and_certificates.fullmatch(name), name


def test_the_variables_of_envy(phases):
    """Scripts get folders, cores and options as variables."""
    entry = phases.folder("local.one@r1").parent
    for phase in ("stage", "build", "install"):
        found = phases.variables[phase]
        assert found["ENVY_INSTALL_DIR"] == str(entry / "asset")
        assert found["ENVY_STAGE_DIR"] == str(entry / "work" / "stage")
        assert found["ENVY_FETCH_DIR"] == str(entry / "fetch")
        assert Path(found["ENVY_RECIPE_DIR"]).name == "recipes"
        assert found["ENVY_CORES"] == "3"
        assert found["ENVY_OPTION_DEEP_NAME"] == "true"
        assert found["ENVY_OPTION_LEVEL"] == "3"


def test_lua_sees_the_same_environment(project):
    """os.getenv in a phase returns what the phase's scripts get."""
    body = """pass_env = { "PASSED" }
    install = function(ctx)
      local seen = { tostring(os.getenv("UNRELATED")), os.getenv("PASSED"), os.getenv("LANG") }
      ctx.write("seen", table.concat(seen, " "))
    end"""
    folder = project.make(body, env=OUTSIDE)
    assert (folder / "seen").read_text() == "nil p C.UTF-8"


def test_a_secret_is_shown_nowhere(project, tmp_path):
    """Values of secret_env are masked on the display, in the log, the trace and in errors."""
    run = project.sync_one(
        """secret_env = { "SECRET" }
        install = function(ctx)
          print("it is " .. os.getenv("SECRET"))
          ctx.run("echo the secret is $SECRET; echo $SECRET >&2")
          ctx.run("echo " .. os.getenv("SECRET"))
          ctx.run("echo $SECRET; exit 3 # " .. os.getenv("SECRET"), { capture = true })
        end""",
        "--verbose",
        env=OUTSIDE,
        code=1,
    )
    assert "the secret is ***" in run.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "install.log" for path in written)
    assert not [path for path in written if b"hunter2" in path.read_bytes()]
    assert "hunter2" not in run.out + run.err


def test_each_line_of_a_long_secret_is_masked(project):
    """A secret of several lines is masked line by line."""
    key = "-----BEGIN-----\nabcdefgh\n-----END-----\n"
    run = project.sync_one(
        'secret_env = { "KEY" }\ninstall = [[ echo "$KEY"; echo end; touch x ]]',
        "--verbose",
        env={"KEY": key},
    )
    assert "abcdefgh" not in run.err
    assert "| end" in run.err


def test_an_error_does_not_show_a_secret(project):
    """Errors of Lua code are masked too."""
    run = project.sync_one(
        'secret_env = { "SECRET" }\ninstall = function() error("no " .. os.getenv("SECRET")) end',
        env=OUTSIDE,
        code=1,
    )
    assert "no ***" in run.err


def test_another_secret_rebuilds_nothing(project):
    """A secret is never part of the key, even if it is read while loading."""
    body = 'secret_env = { "SECRET" }\nlocal read = os.getenv("SECRET")\ninstall = "touch x"'
    project.make(body, env=OUTSIDE)
    again = project.sync_one(body, env=OUTSIDE | {"SECRET": "another"})
    assert again.named("recipe_complete", outcome="cached")


# -- exports of dependencies --------------------------------------------------------------------

TOOL = """
install = [[ mkdir -p bin; printf '#!/bin/sh\\necho {0}\\n' > bin/tool; chmod +x bin/tool ]]
exports = {{ path = {{ "bin" }}, env = {{ {1}_ROOT = "{{{{asset}}}}/share" }},
  cmake_prefix = {{ "." }}, pkg_config = {{ "lib/pkgconfig" }} }}
"""


def test_exports_of_dependencies_come_nearest_first(project, tmp_path):
    """A direct dependency's folders precede those of indirect dependencies."""
    project.packages("local.app@r1")
    project.recipe("local.far@r1", TOOL.format("far", "FAR"))
    project.recipe(
        "local.near@r1", 'dependencies = { "local.far@r1" }' + TOOL.format("near", "NEAR")
    )
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ "local.near@r1" }}
        install = "env > {tmp_path}/app.txt; tool > tool.txt" """,
    )
    run = project.envy("sync", env={"CMAKE_PREFIX_PATH": "/outer"})
    found = variables(tmp_path / "app.txt")
    near, far = run.folder("local.near@r1"), run.folder("local.far@r1")
    assert (run.folder("local.app@r1") / "tool.txt").read_text() == "near\n"
    assert found["PATH"].startswith(f"{near}/bin:{far}/bin:")
    assert found["CMAKE_PREFIX_PATH"] == f"{near}:{far}"
    assert found["PKG_CONFIG_PATH"] == f"{near}/lib/pkgconfig:{far}/lib/pkgconfig"
    assert (found["NEAR_ROOT"], found["FAR_ROOT"]) == (f"{near}/share", f"{far}/share")


def test_exports_of_build_dependencies_do_not_propagate(project, tmp_path):
    """Only run dependencies of a dependency export to dependents."""
    project.packages("local.app@r1")
    project.recipe("local.compiler@r1", TOOL.format("compiler", "COMPILER"))
    project.recipe(
        "local.lib@r1",
        'dependencies = { { recipe = "local.compiler@r1", use = "build" } }\n'
        'install = "tool > built-by.txt"',
    )
    project.recipe(
        "local.app@r1",
        f'dependencies = {{ "local.lib@r1" }}\ninstall = "env > {tmp_path}/app.txt; touch x"',
    )
    run = project.envy("sync")
    assert (run.folder("local.lib@r1") / "built-by.txt").read_text() == "compiler\n"
    assert "COMPILER_ROOT" not in variables(tmp_path / "app.txt")


def test_exports_begin_in_the_phase_that_needs_them(project):
    """A dependency that is needed by install exports nothing to build."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", TOOL.format("tool", "TOOL"))
    project.recipe(
        "local.app@r1",
        """dependencies = { { recipe = "local.tool@r1", needed_by = "install" } }
        build = "echo \\"build: $TOOL_ROOT\\" > seen"
        install = "cp $ENVY_STAGE_DIR/seen .; test -n \\"$TOOL_ROOT\\"" """,
    )
    run = project.envy("sync")
    assert (run.folder("local.app@r1") / "seen").read_text() == "build: \n"


def test_exports_may_be_a_function_of_the_options(project):
    """What a package exports may depend on its options."""
    project.packages("local.app@r1")
    project.recipe(
        "local.tool@r1",
        """install = "touch x"
        exports = function(opts) return { env = { TOOL_KIND = opts.kind } } end""",
    )
    project.recipe(
        "local.app@r1",
        """dependencies = { { recipe = "local.tool@r1", options = { kind = "sharp" } } }
        install = "echo $TOOL_KIND > kind" """,
    )
    run = project.envy("sync")
    assert (run.folder("local.app@r1") / "kind").read_text() == "sharp\n"


def test_two_values_for_one_exported_variable_are_an_error(project):
    """The error names both packages, and both values."""
    project.packages("local.app@r1")
    for name in ("a", "b"):
        project.recipe(
            f"local.{name}@r1",
            f'install = "touch x"\nexports = {{ env = {{ KIND = "{name}" }} }}',
        )
    project.recipe(
        "local.app@r1",
        'dependencies = { "local.a@r1", "local.b@r1" }\ninstall = "touch x"',
    )
    run = project.envy("sync", code=1)
    assert "local.a@r1 and local.b@r1 export different values for KIND: 'a' and 'b'" in run.err
