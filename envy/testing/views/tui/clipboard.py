"""Copying to the clipboard of the terminal, also from inside tmux and screen.

A terminal does not answer whether it took a text, so what is said is what is known.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Callable, Mapping

_LONGEST = 74_994  # bytes in base64 that xterm takes
_SCREEN_PART = 76  # bytes that screen passes on at once, with room to spare


def clipboard_sequence(text: str, environment: Mapping[str, str]) -> str:
    """Return what asks the terminal to copy a text (OSC 52), through tmux or screen if need be."""
    data = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    plain = f"\x1b]52;c;{data}\x07"
    if environment.get("TMUX"):
        return f"\x1bPtmux;{plain.replace(chr(27), chr(27) * 2)}\x1b\\"
    if environment.get("STY"):
        parts = [plain[at : at + _SCREEN_PART] for at in range(0, len(plain), _SCREEN_PART)]
        return "".join(f"\x1bP{part}\x1b\\" for part in parts)
    return plain


async def copy(text: str, environment: Mapping[str, str], write: Callable[[str], None]) -> str:
    """Copy a text, and return what to say about it; `write` sends a text to the terminal."""
    lines = len(text.splitlines())
    what = "1 line" if lines == 1 else f"{lines} lines"
    if not text:
        return "not copied: there is nothing"
    if environment.get("TMUX"):
        return await _copy_to_tmux(text, what, environment, write)
    write(clipboard_sequence(text, environment))
    size = len(base64.b64encode(text.encode("utf-8", "replace")))
    if environment.get("STY"):
        return f"sent {what} through screen; whether they arrived is up to the terminal"
    if size > _LONGEST:
        return f"sent {what} to the terminal; many terminals refuse texts of this size"
    return f"sent {what} to the terminal's clipboard"


async def _copy_to_tmux(
    text: str, what: str, environment: Mapping[str, str], write: Callable[[str], None]
) -> str:
    """Load tmux's buffer, which tmux hands on to the terminal unless set-clipboard is off."""
    program = shutil.which("tmux", path=environment.get("PATH"))
    failure = "there is no program tmux"
    if program is not None:
        for option in (["-w"], []):  # -w is known since tmux 3.2
            code, said = await _run(
                [program, "load-buffer", *option, "-"], text.encode("utf-8", "replace"), environment
            )
            if code == 0:
                return await _said_of_tmux(program, what, environment, hands_on=bool(option))
            failure = said or f"tmux ended with code {code}"
    write(clipboard_sequence(text, environment))
    return f"not copied to tmux ({failure}); sent {what} through it, if allow-passthrough is on"


async def _said_of_tmux(
    program: str, what: str, environment: Mapping[str, str], *, hands_on: bool
) -> str:
    code, value = await _run([program, "show-options", "-gv", "set-clipboard"], b"", environment)
    if hands_on and code == 0 and value != "off":
        return f"copied {what} to tmux's buffer, and to its terminal"
    why = "its set-clipboard is off" if value == "off" else "it is older than 3.2"
    return f"copied {what} to tmux's buffer only: {why}"


async def _run(words: list[str], data: bytes, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a program; return its code and the last line of what it said."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
        )
    except OSError as error:
        return 1, str(error.strerror)
    said, _ = await process.communicate(data)
    lines = said.decode("utf-8", "replace").strip().splitlines()
    assert process.returncode is not None
    return process.returncode, lines[-1] if lines else ""
