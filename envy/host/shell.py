"""Scripts, and the shells that run them.

Owns the definition of a shell, and how a script becomes an argument list. A script is passed as an
argument, or read from a file by the shell: a file that envy has just written is never executed
itself, as that fails ("text file busy") while another child is being started.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.errors import DeclarationError, ScriptFailed, SourceLocation
from envy.host.children import Child, Children, RunningChild
from envy.host.platform import Platform
from envy.host.process import Completed, OnOutput, ProcessSpec, run, run_argv
from envy.masking import longest, masked, masked_bytes, may_be_in, safe_cut

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

# Linux limits one argument to 128 KiB; other systems allow more.
_LONGEST_ARGUMENT = 100_000
_LONGEST_LINE = 16_384
_LONGEST_ADDRESS = 4096  # of an unfinished line, so much is kept: a secret may have begun in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A program that runs scripts. `inline` or `file` may be empty, but not both."""

    name: str
    inline: tuple[str, ...] = ()  # the arguments before the text of a script
    file: tuple[str, ...] = ()  # the arguments before the path of a script
    extension: str = ""
    prologue: str = ""  # prepended to every script
    epilogue: str = ""  # appended to every script


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
# The values of the constants of ENVY_SHELL in Lua; the @ distinguishes them from paths.
_BUILTIN = {f"@shell:{shell.name}": shell for shell in (BASH, SH, CMD, POWERSHELL)}
_REMEDY = (
    'write ENVY_SHELL.BASH or another of its constants, { inline = { "zsh", "-e", "-c" } }, '
    'or { file = "python3", ext = ".py" }'
)


def builtin_shell(platform: Platform) -> Shell:
    """Return the shell that is used where the manifest and the recipe choose none."""
    return POWERSHELL if platform.os == "windows" else BASH


def shell_from_value(value: object, origin: SourceLocation | None = None) -> Shell:
    """Return the shell that a Lua value describes: a constant, `{inline={…}}` or `{file=…, ext=…}`.

    Raises:
        DeclarationError: the value does not describe a shell.
    """
    if isinstance(value, str) and value in _BUILTIN:
        return _BUILTIN[value]
    if not isinstance(value, dict):
        raise DeclarationError(f"{value!r} is not a shell", origin=origin, hint=_REMEDY)
    if unknown := sorted(str(name) for name in value if name not in ("inline", "file", "ext")):
        raise DeclarationError(
            f"a shell has no field {unknown[0]!r}", origin=origin, hint=f"either {_REMEDY}"
        )
    inline = _words(value.get("inline"), "inline", origin)
    file = _words(value.get("file"), "file", origin)
    extension = value.get("ext", "")
    if bool(inline) == bool(file) or (inline and extension):
        raise DeclarationError(
            "a shell has either `inline`, the arguments before a script, or `file` and `ext`",
            origin=origin,
            hint=_REMEDY,
        )
    if not isinstance(extension, str) or "/" in extension:
        raise DeclarationError(
            f"the `ext` of a shell must be a file name extension, not {extension!r}",
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
        f"the `{field}` of a shell must be a program and its arguments, not {value!r}",
        origin=origin,
        hint=_REMEDY,
    )


def script_text(script: str | Sequence[str]) -> str:
    """Return the text of a script, which may be given as a list of lines."""
    return script if isinstance(script, str) else "\n".join(script)


def describe_script(script: str | Sequence[str]) -> str:
    """Return the first line of a script that is not blank, with an ellipsis if others follow.

    Secrets are masked before the line is shortened, which could cut one in two.
    """
    lines = [line.strip() for line in masked(script_text(script)).splitlines() if line.strip()]
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
    """Run a script and return how it ended, whatever its exit code; see `process.run_argv`.

    Raises:
        ScriptFailed: the shell could not be started.
        Cancelled: `children.terminate_all` was called.
    """
    from envy.host.failed_line import line_recorder

    text = shell.prologue + script_text(script) + shell.epilogue
    with contextlib.ExitStack() as undo:
        if shell.inline and len(os.fsencode(text)) <= _LONGEST_ARGUMENT:
            argv = (*shell.inline, text)
        elif shell.file:
            argv = (*shell.file, str(undo.enter_context(_script_file(text, shell, scratch_dir))))
        else:
            raise _too_long(shell, script)
        recorder = undo.enter_context(
            line_recorder(
                argv,
                text,
                environment=environment,
                is_file=argv[-1] != text,
                folder=scratch_dir,
            )
        )
        completed = run(
            ProcessSpec(
                argv=argv,
                command=shown or describe_script(script),
                cwd=cwd,
                environment={**environment, **recorder.variables},
                children=children,
                label=label,
                on_output=on_output,
                capture=capture,
                timeout=timeout,
                interactive=interactive,
                descriptors=descriptors,
            )
        )
        if completed.exit_code == 0:
            return completed
        return replace(completed, failed_line=recorder.line(completed.exit_code))


def _too_long(shell: Shell, script: str | Sequence[str]) -> ScriptFailed:
    return ScriptFailed(
        command=describe_script(script),
        exit_code=126,
        reason=f"could not be started, because it is too long for an argument of {shell.name}",
        hint='use a shell that reads a file: { file = "…", ext = "…" }',
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
    """Splits the chunks of one stream into lines without secrets; very long ones come in pieces."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = _LONGEST_LINE) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without line ends and secrets."""
        data = self._rest + chunk
        *lines, self._rest = data.split(b"\n")
        # All of these are rare, and checked once per chunk: a build may write millions of lines.
        if b"\r\n" in data:
            lines = [line.removesuffix(b"\r") for line in lines]
        if lines and may_be_in(data):
            lines = [masked_bytes(line) for line in lines]
        if lines and max(map(len, lines)) > self._limit:
            lines = [piece for line in lines for piece in self._pieces(line)]
        if len(self._rest) > self._limit:
            lines += self._cut()
        return lines

    def finish(self) -> list[bytes]:
        """Return the rest when the stream has ended: an unfinished line, or nothing."""
        rest, self._rest = self._rest, b""
        return self._pieces(masked_bytes(rest.removesuffix(b"\r"))) if rest else []

    def _cut(self) -> list[bytes]:
        """Return the beginning of an unfinished line, up to where a secret may have begun."""
        kept = max(longest(), _LONGEST_ADDRESS)
        if len(self._rest) <= self._limit + kept:
            return []
        end = safe_cut(self._rest, _before(self._rest, len(self._rest) - kept))
        end = end or len(self._rest)  # an address without an end
        begin, self._rest = self._rest[:end], self._rest[end:]
        return self._pieces(masked_bytes(begin))

    def _pieces(self, line: bytes) -> list[bytes]:
        """Return a line in pieces of at most the limit."""
        pieces, start = [], 0
        while len(line) - start > self._limit:
            end = _before(line, start + self._limit)
            pieces.append(line[start:end])
            start = end
        return [*pieces, line[start:]]


def _before(line: bytes, end: int) -> int:
    """Return the last place up to `end` that is not within a UTF-8 sequence."""
    # Its later bytes all begin with the bits 10.
    return end - next((back for back in range(4) if line[end - back] & 0xC0 != 0x80), 0)
