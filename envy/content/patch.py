"""Applying patches, with the `patch` program or with git."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from envy.content.file_operations import content_of, explained
from envy.content.scratch import scratch_folder
from envy.errors import EnvyError, ScriptFailed
from envy.host.process import Completed

# Runs a program in a directory and captures its output; if missing, it raises ScriptFailed (127).
ProgramRunner = Callable[[Sequence[str], Path], Completed]


def apply_patch(
    directory: Path,
    *,
    run: ProgramRunner,
    file: Path | None = None,
    text: str = "",
    strip: int = 1,
    fuzz: int = 0,
) -> str:
    """Apply a unified diff, given as a file or as text, to the files in a directory.

    Up to `fuzz` lines of context at the ends of a hunk may differ; hunks may be found at other
    lines, which the output of the program says. Uses the `patch` program, or git if `patch` is
    missing or the diff is binary; returns the name of the program.
    """
    if file is not None:
        data = content_of("read the patch", file)
        with explained("read the patch", file):
            return _apply(directory, file, data, (strip, fuzz), run)

    data = text.encode("utf-8", "surrogateescape")
    with explained("write the patch for", directory), scratch_folder("patch") as scratch:
        written = scratch / "the.patch"
        written.write_bytes(data)
        return _apply(directory, written, data, (strip, fuzz), run)


def _apply(
    directory: Path, file: Path, data: bytes, options: tuple[int, int], run: ProgramRunner
) -> str:
    strip, fuzz = options
    by_patch = None if b"\nGIT binary patch\n" in data else _patch_words(directory, fuzz, run)
    words = by_patch or [
        # Otherwise git would apply the diff to a repository that the directory is inside of.
        *("env", f"GIT_CEILING_DIRECTORIES={directory.parent}"),
        *("git", "apply", "--whitespace=nowarn", "--verbose"),
        # git has no fuzz, but a number of lines of context that must match; diffs have three.
        *((f"-C{max(0, 3 - fuzz)}",) if fuzz else ()),
    ]
    completed = run([*words, f"-p{strip}", *(("-i",) if by_patch else ()), str(file)], directory)
    if completed.exit_code:
        said = (completed.stdout + completed.stderr).decode("utf-8", "replace").strip()
        raise EnvyError(
            f"the patch {file.name} does not apply in {directory}:\n{_indented(said)}",
            hint=f"is it for this version, and is `strip` = {strip} the right number of leading "
            f"directories to drop? If only the context differs, make the diff again, or allow it: "
            f"fuzz = {fuzz + 1}",
        )
    return "patch" if by_patch else "git"


def _patch_words(directory: Path, fuzz: int, run: ProgramRunner) -> list[str] | None:
    try:
        version = run(["patch", "--version"], directory).stdout
    except ScriptFailed as error:
        if error.exit_code_of_script != 127:
            raise
        return None
    # Other implementations of patch do not have these options, and do not need them.
    tidy = ["--no-backup-if-mismatch", "--reject-file=-"] if version.startswith(b"GNU") else []
    # The patch of BusyBox has neither a version nor fuzz.
    return ["patch", "-N", *tidy, *((f"-F{fuzz}",) if version or fuzz else ())]


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines()[-20:])
