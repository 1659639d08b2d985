"""Evidence: what of this machine an answer was worked out from, and whether it still holds.

Content decides, never times: what is touched is still the same, and what was changed and put back
is the same again. A file that was looked for and not found is evidence, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from envy.cache.trees import digest_tree
from envy.errors import EnvyError

_CHUNK = 1 << 20


@dataclass(slots=True)
class Evidence:
    """Digests of files (None: not there), trees and variables, and what patterns matched.

    Of a variable, too, only the digest is kept: it may be a secret.

    `lasting` is false for what may change without leaving a trace here: a branch of a repository,
    a recipe that is fetched without a digest.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    trees: dict[str, str] = field(default_factory=dict)
    globs: list[tuple[str, str, list[str]]] = field(default_factory=list)
    variables: dict[str, str | None] = field(default_factory=dict)
    lasting: bool = True

    def note_variables(self, variables: Mapping[str, str | None]) -> None:
        """Note variables of the environment by name and value; None: not set."""
        for name, value in variables.items():
            self.variables[name] = variable_digest(value)

    def add(self, other: Evidence) -> None:
        """Take in what another answer rests on."""
        self.files.update(other.files)
        self.trees.update(other.trees)
        self.globs += other.globs
        self.variables.update(other.variables)
        self.lasting = self.lasting and other.lasting


def still_holds(evidence: Evidence, environment: Mapping[str, str]) -> bool:
    """Whether everything is as it was."""
    if any(
        variable_digest(environment.get(name)) != digest
        for name, digest in evidence.variables.items()
    ):
        return False
    if any(file_digest(path) != digest for path, digest in evidence.files.items()):
        return False
    try:
        return all(_matches(*row) for row in evidence.globs) and all(
            digest_tree(path) == digest for path, digest in evidence.trees.items()
        )
    except EnvyError:
        return False


def _matches(top: str, pattern: str, names: list[str]) -> bool:
    from envy import files  # most recipes have no patterns

    return sorted(files.glob(Path(top), pattern)) == names


def variable_digest(value: str | None) -> str | None:
    """BLAKE3 of a variable's value; None if it is not set."""
    return None if value is None else blake3(os.fsencode(value)).hexdigest()


def file_digest(path: str) -> str | None:
    """BLAKE3 of a file; None if there is none, as for recipes that look for one."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(descriptor, _CHUNK)
        if len(data) < _CHUNK:
            return blake3(data).hexdigest()
        hasher = blake3(data)
        while data := os.read(descriptor, _CHUNK):
            hasher.update(data)
        return hasher.hexdigest()
    except OSError:
        return None
    finally:
        os.close(descriptor)
