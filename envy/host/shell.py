"""Scripts, and the shells that run them.

Owns what a shell is and how a script becomes an argument list. A script is handed over as an
argument, or read from a file by the shell that was started: a file that envy just wrote is never
executed itself, for that fails ("text file busy") while another child is being started.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.errors import DeclarationError, ScriptFailed, SourceLocation
from envy.host.children import Child, Children, RunningChild
from envy.host.platform import Platform
from envy.host.process import Completed, OnOutput, ProcessSpec, run, run_argv

__all__ = [
    "BASH",
    "CMD",
    "POWERSHELL",
    "SH",
    "Child",
    "Children",
    "Completed",
    "LineSplitter",
    "OnOutput",
    "RunningChild",
    "Shell",
    "builtin_shell",
    "describe_script",
    "run_argv",
    "run_script",
    "script_text",
    "shell_from_value",
]

# Linux allows one argument 128 KiB; other systems allow more in all.
_LONGEST_ARGUMENT = 100_000
_LONGEST_LINE = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A program that runs scripts. One of `inline` and `file` may be empty, never both."""

    name: str
    inline: tuple[str, ...] = ()  # what comes before the text of a script
    file: tuple[str, ...] = ()  # what comes before the path of a script
    extension: str = ""
    prologue: str = ""  # put before every script


_POWERSHELL_PROGRAM = "powershell" if os.name == "nt" else "pwsh"

BASH = Shell(
    name="bash",
    inline=("bash", "-e", "-o", "pipefail", "-c"),
    file=("bash", "-e", "-o", "pipefail"),
    extension=".sh",
)
SH = Shell(name="sh", inline=("sh", "-e", "-c"), file=("sh", "-e"), extension=".sh")
CMD = Shell(
    name="cmd", file=("cmd.exe", "/d", "/q", "/c"), extension=".cmd", prologue="@echo off\n"
)
POWERSHELL = Shell(
    name="powershell",
    file=(
        _POWERSHELL_PROGRAM,
        "-NoProfile",
        "-NonInteractive",
        "-ExecutionPolicy",
        "Bypass",
        "-File",
    ),
    extension=".ps1",
    prologue="$ErrorActionPreference = 'Stop'\n$PSNativeCommandUseErrorActionPreference = $true\n",
)
# What the constants of ENVY_SHELL stand for in Lua; the mark tells them from paths.
_BUILTIN = {f"@shell:{shell.name}": shell for shell in (BASH, SH, CMD, POWERSHELL)}
_REMEDY = (
    'write ENVY_SHELL.BASH or another of its constants, { inline = { "zsh", "-e", "-c" } }, '
    'or { file = "python3", ext = ".py" }'
)


def builtin_shell(platform: Platform) -> Shell:
    """The shell of scripts for which nobody chose one."""
    return POWERSHELL if platform.os == "windows" else BASH


def shell_from_value(value: object, origin: SourceLocation | None = None) -> Shell:
    """The shell that a Lua value means: a constant, `{inline={…}}` or `{file=…, ext=…}`.

    Raises:
        DeclarationError: it means none.
    """
    if isinstance(value, str) and value in _BUILTIN:
        return _BUILTIN[value]
    if not isinstance(value, dict):
        raise DeclarationError(f"{value!r} is no shell", origin=origin, hint=_REMEDY)
    if unknown := sorted(str(name) for name in value if name not in ("inline", "file", "ext")):
        raise DeclarationError(
            f"a shell has no field {unknown[0]!r}", origin=origin, hint=f"either {_REMEDY}"
        )
    inline = _words(value.get("inline"), "inline", origin)
    file = _words(value.get("file"), "file", origin)
    extension = value.get("ext", "")
    if bool(inline) == bool(file) or (inline and extension):
        raise DeclarationError(
            "a shell is either `inline`, a list of words before the script, or `file`, with `ext`",
            origin=origin,
            hint=_REMEDY,
        )
    if not isinstance(extension, str) or "/" in extension:
        raise DeclarationError(
            f"the `ext` of a shell is the end of a file name, not {extension!r}",
            origin=origin,
            hint='for example ext = ".py"',
        )
    return Shell(
        name=Path((inline or file)[0]).name,
        inline=inline,
        file=file,
        extension=extension if not extension or extension.startswith(".") else f".{extension}",
    )


def _words(value: object, field: str, origin: SourceLocation | None) -> tuple[str, ...]:
    if value is None:
        return ()
    words = [value] if isinstance(value, str) and field == "file" else value
    if isinstance(words, list) and words and all(isinstance(w, str) and w for w in words):
        return tuple(words)
    raise DeclarationError(
        f"the `{field}` of a shell is a program and its arguments, not {value!r}",
        origin=origin,
        hint=_REMEDY,
    )


def script_text(script: str | Sequence[str]) -> str:
    """The text of a script that may be given as its lines."""
    return script if isinstance(script, str) else "\n".join(script)


def describe_script(script: str | Sequence[str]) -> str:
    """A script on one line: its first that says something, and an ellipsis if there are more."""
    lines = [line.strip() for line in script_text(script).splitlines() if line.strip()]
    if not lines:
        return ""
    shown = lines[0] if len(lines[0]) <= 200 else lines[0][:199] + "…"
    return f"{shown} …" if len(lines) > 1 else shown


def run_script(
    script: str | Sequence[str],
    *,
    shell: Shell,
    cwd: Path,
    environment: Mapping[str, str],
    children: Children,
    label: str = "",
    shown: str = "",
    on_output: OnOutput | None = None,
    capture: bool = False,
    timeout: float | None = None,
    interactive: bool = False,
    descriptors: Sequence[int] = (),
    scratch_dir: Path | None = None,
) -> Completed:
    """Run a script to its end; any exit code is an answer. See `process.run_argv`.

    Raises:
        ScriptFailed: the shell could not be started.
        Cancelled: `children.terminate_all` was called.
    """
    text = shell.prologue + script_text(script)
    with contextlib.ExitStack() as undo:
        if shell.inline and len(os.fsencode(text)) <= _LONGEST_ARGUMENT:
            argv = (*shell.inline, text)
        elif shell.file:
            argv = (*shell.file, str(undo.enter_context(_script_file(text, shell, scratch_dir))))
        else:
            raise _too_long(shell, script)
        return run(
            ProcessSpec(
                argv=argv,
                command=shown or describe_script(script),
                cwd=cwd,
                environment=environment,
                children=children,
                label=label,
                on_output=on_output,
                capture=capture,
                timeout=timeout,
                interactive=interactive,
                descriptors=descriptors,
            )
        )


def _too_long(shell: Shell, script: str | Sequence[str]) -> ScriptFailed:
    return ScriptFailed(
        command=describe_script(script),
        exit_code=126,
        reason=f"could not be started, because it is too long for an argument of {shell.name}",
        hint='use a shell that takes a file: { file = "…", ext = "…" }',
    )


@contextlib.contextmanager
def _script_file(text: str, shell: Shell, scratch_dir: Path | None) -> Iterator[Path]:
    import tempfile

    try:
        if scratch_dir is not None:
            scratch_dir.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            suffix=shell.extension, prefix="script-", dir=scratch_dir
        )
        os.close(descriptor)
        path = Path(name)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise ScriptFailed(
            command=describe_script(text),
            exit_code=126,
            reason=f"could not be started, because {scratch_dir} cannot be written: {error}",
            hint="free some space, or make the directory writable",
        ) from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


class LineSplitter:
    """Makes lines of the chunks of one stream, for display; absurdly long ones come in pieces."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = _LONGEST_LINE) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends."""
        data = self._rest + chunk
        *lines, rest = data.split(b"\n")
        # Both are rare, and looked for once a chunk: a build may write millions of lines.
        if b"\r\n" in data:
            lines = [line.removesuffix(b"\r") for line in lines]
        if lines and max(map(len, lines)) > self._limit:
            lines = [piece for line in lines for piece in self._pieces(line)]
        *pieces, self._rest = self._pieces(rest)
        return lines + pieces

    def finish(self) -> list[bytes]:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest, b""
        return [rest.removesuffix(b"\r")] if rest else []

    def _pieces(self, line: bytes) -> list[bytes]:
        """A line as it is, or in full pieces and a last one that may be shorter."""
        pieces, start = [], 0
        while len(line) - start > self._limit:
            end = start + self._limit
            # Not in the middle of a UTF-8 sequence, whose later bytes all begin with the bits 10.
            end -= next((back for back in range(4) if line[end - back] & 0xC0 != 0x80), 0)
            pieces.append(line[start:end])
            start = end
        return [*pieces, line[start:]]
