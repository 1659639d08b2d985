"""The library and flags of a native package, as `tests.native` of the manifest gives them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from envy.declarations.test_settings import NO_TESTS, NativeFolder, TestSettings, settings_of
from envy.testing.drivers.native.sources import SUFFIXES, SourcePackage, is_test_file


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryWords:
    """What the manifest adds to the commands of a package, and what is wrong with that."""

    flags: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()  # files and folders that the tests read


@dataclass(frozen=True, slots=True)
class Libraries:
    """The settings of native tests, with the folder of the manifest."""

    root: Path
    settings: TestSettings

    def apply(self, package: SourcePackage) -> tuple[SourcePackage, LibraryWords]:
        """Return the package with its library, and the words for its commands."""
        try:
            folder = package.directory.relative_to(self.root).as_posix()
        except ValueError:
            return package, LibraryWords()
        found = settings_of(self.settings, folder)
        if found is None:
            return package, LibraryWords()
        words = LibraryWords(
            flags=(*(f"-I{self.root / name}" for name in found.include), *found.flags),
            link=found.link,
            inputs=tuple(self.root / name for name in found.inputs),
        )
        if found.sources is None:
            return package, words
        library, problems = self._library(found, package.directory)
        return replace(package, library=library), replace(words, problems=problems)

    def sources_of(self, directory: Path) -> tuple[str, ...]:
        """Return the patterns of the library of a folder."""
        if not directory.is_relative_to(self.root):
            return ()
        found = settings_of(self.settings, directory.relative_to(self.root).as_posix())
        return (found.sources or ()) if found is not None else ()

    def _library(
        self, found: NativeFolder, directory: Path
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names: dict[str, None] = {}
        problems = []
        for pattern in found.sources or ():
            paths = sorted(self.root.glob(pattern)) if not pattern.startswith("/") else []
            sources = [
                path
                for path in paths
                if path.name.endswith(SUFFIXES) and not is_test_file(path.name)
            ]
            if not sources:
                problems.append(
                    f"{found.folder}: error: `{pattern}` in `sources` of tests.native matches no "
                    "C or C++ source below the manifest\n"
                )
            for path in sources:
                names[os.path.relpath(path, directory)] = None
        return tuple(names), tuple(problems)


NO_LIBRARIES = Libraries(Path("/"), NO_TESTS)
