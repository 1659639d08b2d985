"""ProjectEnvironment: what programs of a project run with, as plain data.

It says which package provides each name, in which order folders come on PATH, and which variables
are set. It holds texts and numbers only, so that it can be stored and used without the engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.declarations.dotenv import read_dotenv
from envy.errors import EnvyError

# The distance of packages that are in the graph but not in the environment: those that are needed
# only to build, and those that the manifest leaves out with `exports = false`.
OUTSIDE = -1

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class ProductNotRun(EnvyError):
    """A name that a package provides cannot be run: in no case does another program run instead."""


class ProductNotExecutable(EnvyError):
    """A product or a program exists but cannot be run."""

    exit_code = NOT_EXECUTABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One package that provides a name.

    `program` is an absolute path; or, for a user-managed package, perhaps a bare name that is to be
    looked up on PATH; or "" while it is not known.
    """

    package: str  # the canonical key
    entry: str = ""  # the name of its entry in the cache; "" for a user-managed package
    distance: int
    program: str = ""
    is_program: bool = True  # False: a file that cannot be run
    usable: bool = True  # False: the package is missing, or has failed
    user_managed: bool = False  # the program is outside of the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEnvironment:
    """The environment of programs of a project.

    `providers` has for each name the packages that are nearest to the manifest: one, or several
    that are equally near. Each list of folders, such as that of PATH, is nearest first. `variables`
    are those that packages export, replaced by those of the manifest. The variables in the file
    `dotenv`, if there is one, replace both; it is read when they are applied. `in_front` are
    programs by name that a search of the folders would not find, or not first: each needs a shim
    before all folders.
    """

    providers: Mapping[str, Sequence[Provider]] = field(default_factory=dict)
    folders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    dotenv: str = ""
    in_front: Mapping[str, str] = field(default_factory=dict)

    def applied_to(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a program, on top of those of the user.

        Raises:
            ManifestError: the dotenv file is invalid.
        """
        local = read_dotenv(Path(self.dotenv)) if self.dotenv else {}
        variables = {**base, **self.variables, **local}
        for name, folders in self.folders.items():
            variables[name] = joined_folders(folders, variables.get(name, ""))
        return variables


def joined_folders(folders: Iterable[str], old: str) -> str:
    """Return the text of a list of folders before those in `old`, each folder once."""
    rest = old.split(os.pathsep) if old else ()
    return os.pathsep.join(dict.fromkeys([*folders, *rest]))


def nearest_providers(found: Iterable[Provider]) -> list[Provider]:
    """Return the providers of one name that are nearest to the manifest, in the given order."""
    inside: list[Provider] = []
    outside: list[Provider] = []
    for provider in found:
        if provider.distance == OUTSIDE:
            outside.append(provider)
        elif not inside or provider.distance < inside[0].distance:
            inside = [provider]
        elif provider.distance == inside[0].distance:
            inside.append(provider)
    return inside or outside


def choose_provider(environment: ProjectEnvironment, name: str) -> Provider | None:
    """Return the package whose program a name runs; None if no package provides the name.

    Raises:
        ProductNotRun: several packages are equally near, or the package is not in the environment.
    """
    found = environment.providers.get(name, ())
    if not found:
        return None
    if found[0].distance == OUTSIDE:
        package = found[0].package
        raise ProductNotRun(
            f"{name} is a product of {package}, which is not in the environment: it is needed only "
            "to build, left out, or not among the packages of --with",
            hint=f"run it with: envy run --with '{package}' {name}; or list the package in the "
            "manifest",
        )
    if len(found) > 1:
        raise ProductNotRun(why_ambiguous(name, found), hint=f"{_AMBIGUOUS} {name}")
    return found[0]


_AMBIGUOUS = "leave one out, with `exports = false` in its entry, or choose: envy run --with QUERY"


def why_ambiguous(name: str, providers: Sequence[Provider]) -> str:
    """Return the sentence that says which packages provide one name."""
    packages = [provider.package for provider in providers]
    return f"both {' and '.join(packages)} provide the product {name!r}"
