"""What compiles the C code of Go packages: which programs, their content, and their versions."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator

from envy.errors import ScriptFailed
from envy.host.process import ProcessSpec, run
from envy.testing.digest_memo import DigestMemo
from envy.testing.drivers.go_toolchain import GoToolchain

_NAMES = ("CC", "CXX", "FC", "AR", "PKG_CONFIG")
_ASKED = frozenset({"CC", "CXX"})
_PATIENCE = 10.0  # seconds for a compiler to say its version


def compilers_of(toolchain: GoToolchain, memo: DigestMemo) -> str:
    """Return a text that differs when other compilers, or others of the same name, would be used.

    A program may be a wrapper, so that its content is not enough: Go asks for the version, too.
    """
    return "\n".join(_facts(toolchain, memo))


def _facts(toolchain: GoToolchain, memo: DigestMemo) -> Iterator[str]:
    path = toolchain.environment.get("PATH", "")
    for name in _NAMES:
        try:
            words = shlex.split(toolchain.variables.get(name, ""))
        except ValueError:
            words = []
        # The second word is a compiler, if the first starts it, as `ccache` does.
        for word in words[:2]:
            found = None if word.startswith("-") else shutil.which(word, path=path)
            if found is not None:
                program = os.path.realpath(found)
                yield f"{name} {program} {memo.digest(program)}"
        if words and name in _ASKED:
            yield _version(toolchain, words)


def _version(toolchain: GoToolchain, words: list[str]) -> str:
    try:
        completed = run(
            ProcessSpec(
                argv=[*words, "--version"],
                command=f"{words[0]} --version",
                cwd=toolchain.directory,
                environment=toolchain.environment,
                children=toolchain.children,
                label="go",
                capture=True,
                timeout=_PATIENCE,
            )
        )
    except ScriptFailed:
        return "cannot be run"  # the build says so, if it is needed
    return completed.stdout.decode("utf-8", "replace")
