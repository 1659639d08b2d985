"""A recipe bundle whose map was read, and the files that it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from envy.answers.evidence import Evidence
from envy.declarations.bundles import Bundle, BundleMap
from envy.errors import DeclarationError


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBundle:
    """A bundle whose map was read. `evidence` is what the map rests on.

    `digest` is the SHA-256 of its archive, and `commit` that of its repository; "" for others.
    """

    bundle: Bundle
    folder: Path
    map: BundleMap
    digest: str
    commit: str
    evidence: Evidence

    @property
    def is_here(self) -> bool:
        """Whether it is a folder of this machine, used where it is."""
        return not self.digest and not self.commit

    def path_of(self, identity: str) -> Path:
        """Return the file of an identity that the map has.

        Raises:
            DeclarationError: there is no such file, or it is a link that leads outside.
        """
        name = self.map.recipes[identity]
        path = Path(os.path.normpath(self.folder / name))
        if not os.path.realpath(path).startswith(os.path.realpath(self.folder) + os.sep):
            raise DeclarationError(
                f"the file {name} of {identity} is a link that leads outside of the bundle "
                f"{self.bundle.shown}",
                origin=self.map.at(identity),
                hint="the bundle must contain the file itself",
            )
        if not path.is_file():
            raise DeclarationError(
                f"the bundle {self.bundle.shown} has no file {name}, which its map has for "
                f"{identity}",
                origin=self.map.at(identity),
                hint=_nearest_file(self.folder, name),
            )
        return path


def _nearest_file(folder: Path, name: str) -> str:
    from envy.suggest import nearest

    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*.lua"))
    near = nearest(name, found)
    return f'did you mean "{near}"?' if near else "add the file, or take the entry out of the map"
