"""Evidence: the files, trees, patterns, variables and programs that an answer depends on.

Content decides, never timestamps: a file that was only touched is unchanged, and so is a file that
was changed and restored. A file that was searched for and not found is evidence, too.
`answers.read` checks whether all evidence still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envy.answers.machine_programs import Told
from envy.content.file_digest import variable_digest


@dataclass(slots=True)
class Evidence:
    """Digests of files (None: missing), trees and variables, and of the names that patterns match.

    A tree is a path and the rules of what is taken of it (`content.folder_walk`).

    Only the digest of a variable's value is stored, because the value may be a secret.

    `host` has the programs of the machine that were asked, by name and command; the text of each is
    the digest of its answer. Only a sync compares them.

    `lasting` is false if the result may change without a change in this evidence, because it
    depends on the current time. `unpinned` is true if a sync may find another result upstream: it
    depends on a branch of a repository, or on a recipe that is fetched without a digest.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    trees: dict[tuple[str, str], str] = field(default_factory=dict)
    globs: dict[tuple[str, str], str] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    host: dict[tuple[str, str], Told] = field(default_factory=dict)
    lasting: bool = True
    unpinned: bool = False

    def note_variables(self, variables: Mapping[str, str | None]) -> None:
        """Record environment variables by name and value; None means not set."""
        for name, value in variables.items():
            self.variables[name] = variable_digest(value)

    def add(self, other: Evidence) -> None:
        """Add the evidence of another recipe.

        If the two disagree about a file, it was changed during the run. No later check could
        confirm both, so the combined evidence is not lasting.
        """
        self.lasting = (
            self.lasting
            and other.lasting
            and _agree(self.files, other.files)
            and _agree(self.trees, other.trees)
            and _agree(self.globs, other.globs)
        )
        self.unpinned = self.unpinned or other.unpinned
        self.files.update(other.files)
        self.trees.update(other.trees)
        self.globs.update(other.globs)
        self.variables.update(other.variables)
        self.host.update(other.host)


def _agree(ours: Mapping[Any, str | None], others: Mapping[Any, str | None]) -> bool:
    return all(ours.get(name, digest) == digest for name, digest in others.items())
