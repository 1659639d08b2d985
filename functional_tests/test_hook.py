"""`envy hook`: a shell has the variables of the project that it is in, and its own outside."""

import shutil
import subprocess

import pytest
from project import Project, envy_command

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f"],
    "fish": ["fish", "--no-config"],
}
LOAD = {
    "bash": 'eval "$({envy} hook bash)"\n',
    "zsh": 'eval "$({envy} hook zsh)"\n',
    "fish": "{envy} hook fish | source\n",
}


def made(root, word, cache=None):
    """Return a synced project whose tool prints a word, with a variable of hard characters."""
    project = Project(root, cache=cache)
    project.manifest(
        'packages = { "local.tool@r1" }\nenv = { LEVEL = "it\'s \\"$HOME\\"\\\\", OWN = "x" }'
    )
    project.recipe(
        "local.tool@r1",
        'products = { tool = "bin/tool" }\ninstall = function(ctx)\n'
        f'  ctx.write("bin/tool", "#!/bin/sh\\necho {word}\\n")\n'
        '  ctx.run("chmod +x bin/tool")\nend',
    )
    project.envy("sync")
    return project


def shell(name, project, *lines, env=None):
    """Give lines to a shell with the hook; return what it printed."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    text = LOAD[name].format(envy=envy_command()) + "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        START[name],
        input=text,
        cwd="/",
        env=project.environment({"LEVEL": "mine", **(env or {})}),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    return done.stdout.splitlines(), done.stderr


SHELLS = pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
PRINT = 'printf "%s|%s\\n" "$LEVEL" "$OWN"'


@SHELLS
def test_a_shell_follows_its_folder(tmp_path, name):
    """Two projects, a folder below, a link's end: each with its own tool; outside, none."""
    one = made(tmp_path / "one", "first")
    two = made(tmp_path / "a b'c é", "second", cache=one.cache)
    (one.root / "below").mkdir()
    quoted = (
        str(two.root).replace("'", "\\'") if name == "fish" else f"{two.root}".replace("'", "'\\''")
    )
    before = 'printf "%s\\n" "$PATH" | cksum'
    lines = shell(
        name, one,
        before, f"cd {one.root}", "tool", PRINT, "cd below", "tool",
        f"cd '{quoted}'", "tool", "cd /", PRINT, before,
    )[0]  # fmt: skip
    assert lines[1:-2] == ["first", 'it\'s "$HOME"\\|x', "first", "second"]
    assert lines[-2] == "mine|"
    assert lines[-1] == lines[0]


@SHELLS
def test_what_has_changed_is_said_and_not_used(tmp_path, name):
    """A manifest that was edited, or that was never synced, sets nothing: it may be foreign."""
    one = made(tmp_path / "one", "first")
    one.manifest('packages = {}\nenv = { LEVEL = "foreign" }')
    lines, errors = shell(name, one, f"cd {one.root}", PRINT)
    assert lines == ["mine|"]
    assert f"the programs of {one.root} are not used in this shell" in errors
    assert "run `envy sync`" in errors


@SHELLS
def test_envy_is_started_for_another_project_only(tmp_path, name):
    """Below the same project, and outside of projects, the shell starts no envy."""
    one = made(tmp_path / "one", "first")
    (one.root / "below").mkdir()
    script = tmp_path / "envy"
    log = tmp_path / "log"
    script.write_text(f'#!/bin/sh\necho x >> {log}\nexec {envy_command()} "$@"\n')
    script.chmod(0o755)
    text = subprocess.run(
        [envy_command(), "hook", name], env=one.environment(), capture_output=True, text=True,
        check=True,
    ).stdout.replace(envy_command(), str(script))  # fmt: skip
    source = tmp_path / "hook"
    source.write_text(text)
    shell(
        name, one,
        f". {source}" if name != "fish" else f"source {source}",
        f"cd {one.root}", "cd below", "cd ..", f"cd {one.root}/below", "cd /tmp",
    )  # fmt: skip
    assert log.read_text() == "x\n"


def test_an_unknown_shell_is_an_error(project):
    """The error has the shells that there are."""
    assert "'bash', 'zsh', 'fish'" in project.envy("hook", "ksh", code=2).err
