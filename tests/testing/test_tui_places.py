"""Places that a log names, editors that open them, and copying through tmux and screen."""

import asyncio
import base64
import re

import pytest

from envy.testing.views.tui.clipboard import clipboard_sequence, copy
from envy.testing.views.tui.locations import Place, editor_command, editor_of, place_in


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("    a_test.go:12: it went wrong", ("a_test.go", 12)),
        ("./sub/x.c:3:5: error: no", ("sub/x.c", 3)),
        ('  File "sub/t.py", line 40, in test_x', ("sub/t.py", 40)),
        ("(sub/x.c:7)", ("sub/x.c", 7)),
        ("error:sub/x.c:7", ("sub/x.c", 7)),
        ("see none.go:1 and a_test.go:2", ("a_test.go", 2)),
        ("a_test.go:99999999 a_test.go", None),
        ("http://x.go:80 nothing", None),
        ("\x00.go:1 " + "a" * 5000 + ".go:1", None),
    ],
)
def test_a_place_is_found_if_its_file_exists(tmp_path, line, found):
    """The first name of an existing file with a line counts, below the folder of the package."""
    (tmp_path / "sub").mkdir()
    for name in ("a_test.go", "sub/x.c", "sub/t.py"):
        (tmp_path / name).write_text("")
    expected = Place(tmp_path / found[0], found[1]) if found else None
    assert place_in(["nothing", line], [tmp_path / "none", tmp_path]) == expected


@pytest.mark.parametrize(
    ("editor", "words"),
    [
        ("vi", ["vi", "+7", "/f.go"]),
        ("/usr/bin/nvim -R", ["/usr/bin/nvim", "-R", "+7", "/f.go"]),
        ("emacs -nw", ["emacs", "-nw", "+7", "/f.go"]),
        ("less", ["less", "+7", "/f.go"]),
        ("code --wait", ["code", "--wait", "--goto", "/f.go:7"]),
        ("subl", ["subl", "/f.go:7"]),
        ("goland", ["goland", "--line", "7", "/f.go"]),
        ("'/my editors/own'", ["/my editors/own", "/f.go"]),
    ],
)
def test_each_editor_gets_the_line_in_its_own_way(tmp_path, editor, words):
    """An editor that is not known opens the file."""
    place = Place(tmp_path.parent.__class__("/f.go"), 7)
    assert editor_command(editor_of({"EDITOR": editor}), place) == words


def test_visual_comes_before_editor():
    """$VISUAL is taken if it is set, and nothing if neither is."""
    assert editor_of({"VISUAL": "code", "EDITOR": "vi"}) == ["code"]
    assert editor_of({"VISUAL": " ", "EDITOR": "vi"}) == ["vi"]
    assert editor_of({}) == []


def copied(text, environment):
    """Copy; return what is said, and what was written to the terminal."""
    written = []
    said = asyncio.run(copy(text, environment, written.append))
    return said, "".join(written)


def test_copying_says_what_is_known():
    """A terminal does not answer, so the text is sent; a long one may be refused."""
    data = base64.b64encode(b"one\ntwo").decode()
    assert copied("one\ntwo", {}) == (
        "sent 2 lines to the terminal's clipboard",
        f"\x1b]52;c;{data}\x07",
    )
    assert copied("x" * 80_000, {})[0].endswith("many terminals refuse texts of this size")
    assert copied("", {}) == ("not copied: there is nothing", "")


def test_screen_passes_the_sequence_on_in_parts():
    """Each part is wrapped, and together they are the sequence."""
    text = "long " * 50
    said, written = copied(text, {"STY": "1.tty"})
    parts = re.findall(r"\x1bP(.*?)\x1b\\", written, re.DOTALL)
    assert len(parts) > 1
    assert "".join(parts) == clipboard_sequence(text, {})
    assert "screen" in said


@pytest.mark.parametrize(
    ("script", "said", "passes"),
    [
        ('case $1 in load-buffer) cat > "$OUT";; *) echo external;; esac',
         "copied 2 lines to tmux's buffer, and to its terminal", False),
        ('case $1 in load-buffer) cat > "$OUT";; *) echo off;; esac',
         "copied 2 lines to tmux's buffer only: its set-clipboard is off", False),
        ('case $1$2 in load-buffer-w) exit 1;; load-buffer-) cat > "$OUT";; *) echo on;; esac',
         "copied 2 lines to tmux's buffer only: it is older than 3.2", False),
        ("cat > /dev/null; echo no server; exit 1",
         "not copied to tmux (no server); sent 2 lines through it, if allow-passthrough is on",
         True),
    ],
    ids=["on", "off", "old", "gone"],
)  # fmt: skip
def test_tmux_gets_the_text_in_its_buffer(tmp_path, script, said, passes):
    """tmux's buffer takes it, or it is said that it did not, and the terminal gets the sequence."""
    program, out = tmp_path / "tmux", tmp_path / "out"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    environment = {"TMUX": "/socket,1,0", "PATH": f"{tmp_path}:/usr/bin:/bin", "OUT": str(out)}
    found, written = copied("one\ntwo", environment)
    assert found == said
    if passes:
        assert written == clipboard_sequence("one\ntwo", environment)
        assert written.startswith("\x1bPtmux;\x1b\x1b]52;c;")
    else:
        assert (out.read_text(), written) == ("one\ntwo", "")


def test_a_missing_tmux_is_named(tmp_path):
    """Without the program, the sequence is sent through tmux."""
    said, written = copied("x", {"TMUX": "x", "PATH": str(tmp_path)})
    assert said.startswith("not copied to tmux (there is no program tmux)")
    assert written
