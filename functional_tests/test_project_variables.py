"""`env` and `dotenv` in the manifest: variables of the project's programs."""

import pytest

PRINT = ("run", "sh", "-c", 'printf "%s\\n" "$A" "$B" "$C" "$D"')


def test_the_order_of_variables(project):
    """Exports replace the user's variables, `env` replaces exports, and the file replaces both."""
    project.manifest(
        'packages = { "local.one@r1" }\nenv = { B = "env", C = "env" }\ndotenv = ".env"'
    )
    exports = 'exports = { env = { A = "export", B = "export", C = "export" } }'
    project.recipe("local.one@r1", f'install = "touch x"\n{exports}')
    project.write(".env", "C='from file'\n")
    user = dict.fromkeys("ABCD", "user")
    assert project.envy(*PRINT, env=user).out == "export\nenv\nfrom file\nuser\n"
    below = project.root / "below"
    below.mkdir()
    assert project.envy(*PRINT, env=user, cwd=below).out == "export\nenv\nfrom file\nuser\n"
    project.write(".env", "C=edited\nD=new\n")
    assert project.envy(*PRINT, env=user).out == "export\nenv\nedited\nnew\n"
    (project.root / ".env").unlink()
    assert project.envy(*PRINT, env=user).out == "export\nenv\nenv\nuser\n"
    with_none = ("run", "--with", "one", *PRINT[1:])
    assert project.envy(*with_none, env=user).out == "export\nenv\nenv\nuser\n"


def test_the_folder_of_the_project(project):
    """`{{project}}` in a value is the manifest's folder."""
    project.manifest('packages = {}\nenv = { A = "{{project}}/src" }')
    assert project.envy(*PRINT).out == f"{project.root}/src\n\n\n\n"


def test_scripts_of_recipes_do_not_get_them(project):
    """Variables of the project are not part of keys, and reach no script of a package."""
    project.manifest('packages = { "local.one@r1" }\nenv = { A = "x" }')
    project.recipe("local.one@r1", "install = 'echo \"<$A>\" > a'")
    assert (project.envy("sync").folder("local.one@r1") / "a").read_text() == "<>\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("env = 3", "envy.lua:2: `env` must be a table of variables, not a number"),
        ("env = { A = 3 }", "envy.lua:2: `env.A` must be a string, not a number"),
        ("env = { ['A-B'] = 'x' }", "envy.lua:2: `env` has an invalid variable name: 'A-B'"),
        ("env = { 'x' }", "envy.lua:2: `env` must be a table of variables, not a table"),
        ("env = { PATH = 'x' }", "envy.lua:2: PATH cannot be set for the project"),
        ("dotenv = {}", "envy.lua:2: `dotenv` must be the path of a file, not an empty table"),
        ("dotenv = 'bad.env'", "bad.env:1: 'nothing' is not a variable"),
        ("dotenv = '.'", "which is not a regular file"),
    ],
)
def test_invalid_variables(project, line, message):
    """An error has the file, the line, and what is wrong."""
    project.write("bad.env", "nothing\n")
    project.manifest(f"packages = {{}}\n{line}")
    run = project.envy("run", "true", code=1)
    assert message in run.err
