"""Render docs/images/sync.svg: a real `envy sync` on a terminal, while it runs and at its end.

    python docs/images/render_sync.py [MANIFEST]

Runs the `envy` beside this Python on a pseudo-terminal, with an empty cache in a temporary folder,
and draws the screen. The default manifest is that of the demo.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import sysconfig
import tempfile
import termios
from pathlib import Path

from rich import _export_format
from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 112, 24
HERE = Path(__file__).parent
_FONT = r"@font-face \{\{.*?\n    \}\}\n"
_SEQUENCE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """A minimal terminal for the live display: lines, a cursor, erasing, moving up."""

    def __init__(self) -> None:
        self.lines: list[list[tuple[str, str]]] = [[]]  # (character, style sequence)
        self._row = self._column = 0
        self._style = ""

    def feed(self, text: str) -> None:
        """Process output as a terminal would."""
        for parameters, command, control, plain in _SEQUENCE.findall(text):
            if command:
                self._obey(parameters, command)
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._row += 1
                self.lines += [[] for _ in range(self._row + 1 - len(self.lines))]
            for character in plain:
                self._put(character)

    def _obey(self, parameters: str, command: str) -> None:
        if command == "m":
            self._style = "" if parameters in {"", "0"} else f"\x1b[{parameters}m"
        elif command == "A":
            self._row = max(0, self._row - int(parameters or 1))
        elif command == "K":
            del self.lines[self._row][0 if parameters == "2" else self._column :]
        elif command == "J":
            del self.lines[self._row][self._column :]
            del self.lines[self._row + 1 :]

    def _put(self, character: str) -> None:
        line = self.lines[self._row]
        line += [(" ", "")] * (self._column + 1 - len(line))
        line[self._column] = (character, self._style)
        self._column += 1

    def shown(self) -> list[str]:
        """Return the lines that are not empty, with their styles as escape sequences."""
        rows = ["".join(f"{style}{c}\x1b[0m" if style else c for c, style in r) for r in self.lines]
        return [row for row in rows if row.strip()]


def main() -> None:
    """Record a sync and draw the picture."""
    default = HERE.parent / "demo" / "envy.lua"
    manifest = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
    busiest, final = record(manifest)
    faint = "\x1b[2m  …\x1b[0m"
    draw([_prompt(), *busiest, faint, *final], HERE / "sync.svg")


def record(manifest: Path) -> tuple[list[str], list[str]]:
    """Run a sync; return the screen at its busiest moment and at its end."""
    screen, frames = Screen(), [[""]]
    with tempfile.TemporaryDirectory() as cache:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        envy = Path(sysconfig.get_path("scripts")) / "envy"
        process = subprocess.Popen(
            [envy, "--cache-root", cache, "--manifest", manifest, "sync"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)},
        )
        os.close(slave)
        pending = b""
        while chunk := _read(master):
            text, pending = _decoded(pending + chunk)
            screen.feed(text.replace(cache, "~/.cache/envy"))
            frames.append(screen.shown())
        if process.wait():
            raise SystemExit("envy sync failed:\n" + "\n".join(screen.shown()))
    return max(frames, key=_liveliness), screen.shown()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux reports the end of a pseudo-terminal this way
        return b""


def _decoded(data: bytes) -> tuple[str, bytes]:
    """Return the text of all complete characters, and the bytes of an incomplete last one."""
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def _liveliness(frame: list[str]) -> tuple[int, int]:
    """Rate a frame by its running downloads and active packages."""
    text = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in frame]
    at_work = [row for row in text if row.startswith("  ")]
    phases = {row.split()[1] for row in at_work if len(row.split()) > 1}
    half_done = sum("━" in row and "╌" in row for row in at_work)
    return len(phases) + half_done, len(at_work)


def _prompt() -> str:
    return "\x1b[32m$\x1b[0m envy sync"


def draw(rows: list[str], target: Path) -> None:
    """Write the rows as an SVG that needs no external font."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        for row in rows:
            console.print(Text.from_ansi(row), overflow="crop", no_wrap=True)
        template = re.sub(_FONT, "", _export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        template = template.replace("Fira Code, monospace", "monospace")
        svg = console.export_svg(title="envy sync", code_format=template, unique_id="sync")
    target.write_text(svg)


if __name__ == "__main__":
    main()
