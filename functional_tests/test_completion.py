"""`envy completion`: static files that complete words without starting envy."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from project import envy_command

DOCS = Path(__file__).resolve().parent.parent / "docs"
BASH = (
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _envy; '
    'printf "%s\\n" ${COMPREPLY[@]+"${COMPREPLY[@]}"}'
)
ZSH = (
    "compdef() { : }; _files() { : }; "
    'compadd() { shift; print -l -- "${(@M)@:#$words[CURRENT]*}" }; '
    'source "$1"; shift; words=("$@"); CURRENT=$#; _envy'
)
FISH = 'source $argv[1]; complete -C "$argv[2..]"'
PROGRAMS = {"bash": ["bash", "-c", BASH, "x"], "zsh": ["zsh", "-fc", ZSH, "x"]}


def test_the_files_are_those_of_the_commands():
    """The files have every command and option."""
    spec = importlib.util.spec_from_file_location("completions", DOCS / "completions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.completions().items():
        assert (module.FOLDER / name).read_text() == text, "a command has changed: run `make docs`"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(project, shell):
    """Commands, options, and names of the last sync; after a program, nothing of envy."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    project.manifest('packages = { "local.one@r1" }\nlaunchers = "bin"')
    project.recipe(
        "local.one@r1", 'products = { tool = "tool" }\ninstall = "echo > tool; chmod +x tool"'
    )
    project.envy("sync")
    file = project.root / "completion"
    file.write_text(project.envy("completion", shell).out)

    def completed(*words):
        start = PROGRAMS.get(shell)
        command = [*start, file, *words] if start else ["fish", "-Nc", FISH, file, " ".join(words)]
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, check=True,
            env={"PATH": f"{Path(envy_command()).parent}:/usr/bin:/bin", "HOME": str(project.root)},
        )  # fmt: skip
        assert done.stderr == ""
        return [line.split("\t")[0] for line in done.stdout.splitlines() if line]

    assert completed("envy", "why") == ["why", "why-rebuild"]
    assert completed("envy", "sync", "--dry") == ["--dry-run"]
    assert completed("envy", "run", "to") == ["tool"]
    assert completed("envy", "asset", "on") == ["one"]
    assert completed("envy", "remove", "on") == ["one"]
    assert completed("envy", "add", "ni") == completed("envy", "x", "ni") == ["ninja"]
    if shell != "fish":
        assert completed("envy", "--manifest", "x", "run", "--with", "one", "to") == ["tool"]
        assert completed("envy", "run", "tool", "to") == []
        assert completed("envy", "x", "ninja", "ni") == []
