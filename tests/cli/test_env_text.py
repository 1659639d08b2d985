"""The texts of `envy env`: each program reads back the very values."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cli.env_text import env_text
from envy.declarations.dotenv import parse_dotenv

HARD = ["", " ", "a b", "it's", 'say "x"', "$HOME `x` $(x)", "a\nb\n", "\\", "\\n", "\r\n", "# x",
        "é ✓ 😀", "*", "~", "-n", "!x", "\t"]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(HARD), st.text(st.characters(exclude_characters="\0", codec="utf-8"))
)


@given(st.dictionaries(st.sampled_from(["A", "B_2", "CPATH"]), VALUES))
def test_json_and_dotenv_are_read_back(variables):
    """JSON is ASCII and has the values; envy's own reader of dotenv files finds them, too."""
    assert env_text(variables, "json").isascii()
    assert json.loads(env_text(variables, "json")) == variables
    assert parse_dotenv(env_text(variables, "dotenv"), Path(".env")) == variables


@settings(max_examples=20, deadline=None)
@given(VALUES)
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_a_shell_reads_the_value_back(shell, value):
    """A value with quotes, newlines and substitutions is only a value."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    form = "fish" if shell == "fish" else "sh"
    script = env_text({"A_VALUE": value}, form) + '\nprintf "%s" "$A_VALUE"'
    done = subprocess.run([shell, "-c", script], capture_output=True, check=True)
    assert done.stdout == value.encode()


def test_path_is_a_list_in_fish():
    """Each folder is a word of its own; another variable with folders is one text."""
    variables = {"PATH": "/a b:/it's", "CPATH": "/x:/y"}
    assert env_text(variables, "fish") == "set -gx CPATH '/x:/y'\nset -gx PATH '/a b' '/it\\'s'"
