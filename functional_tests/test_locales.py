"""The same bytes go to children, and into keys, whatever the locale."""

import os
import shutil
import subprocess

import pytest
from project import Project, envy_command

# Settings in which Python would use another encoding than UTF-8. A locale that the machine
# lacks counts as C.
LOCALES = {
    "c": {"LC_ALL": "C"},
    "ascii": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "latin-1 streams": {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"},
    "latin-1": {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0"},
}
BODY = """
pass_env = { "INHERITED" }
install = function(ctx, opts)
  ctx.run([[printf '%s' 'é€ü' > script]])
  ctx.run([[printf '%s' "$WORD" > variable]], { env = { WORD = "é€ü" } })
  ctx.run([[printf '%s' "$ENVY_OPTION_WORD" > option]])
  ctx.run([[printf '%s' "$INHERITED" > inherited]])
  ctx.exec({ "sh", "-c", 'printf "%s" "$1" > argument', "sh", "é€ü" })
  ctx.run("printf '%s' 'é€ü' > long # " .. string.rep("x", 110000))
  ctx.run("printf '%s' '" .. ctx.install_dir .. "' > path")
  ctx.run("test -e '" .. ctx.install_dir .. "/path'")
end
"""
TEXT = "é€ü".encode()


@pytest.fixture(scope="module", autouse=True)
def latin_1(tmp_path_factory):
    """Compile the locale of the last case, if the machine can."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef"):
        target = folder / "en_US.ISO-8859-1"
        subprocess.run(
            ["localedef", "-i", "en_US", "-f", "ISO-8859-1", target],
            capture_output=True,
            check=False,
        )
    LOCALES["latin-1"]["LOCPATH"] = str(folder)


def synced(folder, cache, variables):
    """Sync a project in a folder with this name; return the asset's files and its entry folder."""
    project = Project(folder, cache)
    project.manifest('packages = { { recipe = "local.one@r1", options = { word = "é€ü" } } }')
    project.recipe("local.one@r1", BODY)
    environment = {
        os.fsencode(name): os.fsencode(value)
        for name, value in project.environment(variables).items()
        if not name.startswith(("LC_", "LANG", "LOCPATH")) or name in variables
    }
    environment[b"INHERITED"] = b"\xe9 \xc3\xa9"
    process = subprocess.run(
        [envy_command(), "sync"],
        cwd=project.root,
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    [(_, entry)] = project.entries()
    return {path.name: path.read_bytes() for path in (entry / "asset").iterdir()}, entry.name


@pytest.mark.parametrize("name", LOCALES)
def test_children_get_utf_8_in_every_locale(tmp_path, name):
    """Scripts, arguments, variables and paths are UTF-8; inherited bytes are unchanged."""
    files, _ = synced(tmp_path / "projét", tmp_path / "cäche", LOCALES[name])
    path = files.pop("path")
    assert files == {
        **dict.fromkeys(("script", "variable", "option", "argument", "long"), TEXT),
        "inherited": b"\xe9 \xc3\xa9",
    }
    assert path.startswith(os.fsencode(tmp_path / "cäche"))


def test_the_key_is_the_same_in_every_locale(tmp_path):
    """Text and inherited bytes enter the key as the same bytes everywhere."""
    entries = {
        synced(tmp_path / "project", tmp_path / f"cache-{position}", variables)[1]
        for position, variables in enumerate(LOCALES.values())
    }
    assert len(entries) == 1
