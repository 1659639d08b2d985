"""Evidence: what of this machine an answer was worked out from.

Content decides, never times: what is touched is still the same, and what was changed and put back
is the same again. A file that was looked for and not found is evidence, too. `cache.answer` looks
whether all of it still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envy.content.file_digest import variable_digest


@dataclass(slots=True)
class Evidence:
    """Digests of files (None: not there), trees and variables, and of what patterns matched.

    Of a variable, too, only the digest is kept: it may be a secret.

    `lasting` is false for what may change without leaving a trace here: a branch of a repository,
    a recipe that is fetched without a digest, one that asks for the time.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    trees: dict[str, str] = field(default_factory=dict)
    globs: dict[tuple[str, str], str] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    lasting: bool = True

    def note_variables(self, variables: Mapping[str, str | None]) -> None:
        """Note variables of the environment by name and value; None: not set."""
        for name, value in variables.items():
            self.variables[name] = variable_digest(value)

    def add(self, other: Evidence) -> None:
        """Take in what another answer rests on.

        What was one thing for the one and another for the other changed meanwhile: no later look
        could tell that both are right.
        """
        self.lasting = (
            self.lasting
            and other.lasting
            and _agree(self.files, other.files)
            and _agree(self.trees, other.trees)
            and _agree(self.globs, other.globs)
        )
        self.files.update(other.files)
        self.trees.update(other.trees)
        self.globs.update(other.globs)
        self.variables.update(other.variables)


def _agree(ours: Mapping[Any, str | None], others: Mapping[Any, str | None]) -> bool:
    return all(ours.get(name, digest) == digest for name, digest in others.items())
