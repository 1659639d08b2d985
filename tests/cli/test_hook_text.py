"""The texts of `envy hook`: what is loaded can be undone."""

import subprocess

import pytest

from envy.cli.hook_text import SHELLS, hook_text, load_text


@pytest.mark.parametrize("value", ["", "it's", 'a\n"b" $x\\', "é 😀"])
def test_loading_and_undoing_leaves_the_former_values(value):
    """A variable that was set has its value again, and one that was not is not set."""
    text = load_text("bash", {"A": f"new {value}", "B": "b"}, {"A": value, "C": "c"})
    script = f'{text}\nprintf "%s|" "$A" "$B"\neval "$_envy_undo"\nprintf "%s|" "$A" "${{B-none}}"'
    done = subprocess.run(
        ["sh", "-c", script], env={"A": value, "PATH": "/usr/bin:/bin"}, capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.decode() == f"new {value}|b|{value}|none|"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_path_of_envy_is_one_word(shell):
    """A path with spaces, quotes and braces is quoted for the shell."""
    quoted = {"fish": r"'/a b/it\'s/{x}/envy'"}.get(shell, r"'/a b/it'\''s/{x}/envy'")
    assert f"{quoted} --manifest " in hook_text(shell, "/a b/it's/{x}/envy")
