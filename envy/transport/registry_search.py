"""Questions to registries that install nothing: npm's own search, and the versions of a project.

Whatever a registry answers is bounded in size, and is text that a caller has to make safe to show.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from envy.content.json_text import TooManyValues, parse_json
from envy.declarations.sources import SourceItem
from envy.errors import EnvyError, FetchError
from envy.interpreter import released
from envy.limits import REGISTRY_VALUES
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, NotFound
from envy.transport.http import read_page
from envy.transport.npm import releases_of
from envy.transport.npm_configuration import npm_configuration
from envy.transport.npm_tarball import authorized
from envy.transport.pip_configuration import pip_configuration
from envy.transport.pypi import files_of
from envy.transport.wheel_choice import versions_of

_MOST = 20  # rows of an answer
_LONGEST = 300  # characters of a description


@dataclass(frozen=True, slots=True)
class FoundPackage:
    """A package of a registry: its name, newest version and description ("" if unknown)."""

    name: str
    version: str
    description: str = ""


def search_npm(word: str, base_dir: Path, context: FetchContext) -> list[FoundPackage]:
    """Return what the search of the npm registry finds for a word, at most 20 packages.

    Raises:
        FetchError: the registry cannot be reached, has no search, or answers something else.
    """
    configuration = npm_configuration("", base_dir, context)
    query = urlencode({"text": word, "size": _MOST})
    address = f"{configuration.registry}-/v1/search?{query}"
    shown = redacted(configuration.registry)
    try:
        with released():
            body, _, _ = read_page(
                address,
                context,
                headers={"accept": "application/json", **authorized(configuration, address)},
                certificates=configuration.certificates,
            )
    except NotFound as error:
        raise FetchError(f"{shown} offers no search", uri=shown) from error
    try:
        rows = parse_json(body, most_values=REGISTRY_VALUES.value)["objects"]
        found = [_found(row["package"]) for row in rows[:_MOST]]
    except TooManyValues as error:
        raise FetchError(
            f"the answer of {shown} has more than {REGISTRY_VALUES.shown}, the limit "
            f"{REGISTRY_VALUES.name}",
            uri=shown,
            hint=REGISTRY_VALUES.hint,
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"the answer of {shown} to a search cannot be used: it is not a list of packages",
            uri=shown,
        ) from error
    return found


def _found(package: dict[str, object]) -> FoundPackage:
    name, version = str(package["name"]), str(package["version"])
    description = package.get("description")
    text = description if isinstance(description, str) else ""
    return FoundPackage(name[:_LONGEST], version[:_LONGEST], text[:_LONGEST])


def find_python_package(name: str, context: FetchContext) -> FoundPackage:
    """Return the project of exactly this name in the user's package index, and its newest version.

    A pre-release counts only if there is nothing else.

    Raises:
        EnvyError: no index has the project; FetchError: an index cannot be reached.
    """
    from packaging.utils import canonicalize_name

    versions = python_versions(name, context)
    return FoundPackage(canonicalize_name(name), versions[0])


def python_versions(name: str, context: FetchContext) -> list[str]:
    """Return the versions of a project of the user's package index, the newest first.

    Pre-releases come last. Those that were withdrawn are left out.

    Raises:
        EnvyError: no index has the project; FetchError: an index cannot be reached.
    """
    from packaging.utils import InvalidName, canonicalize_name
    from packaging.version import Version

    try:
        project = canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise EnvyError(f"{name!r} is not a valid name of a Python package") from error
    configuration = pip_configuration(context)
    for index in configuration.indexes:
        with released():
            files = files_of(index, project, context, configuration.certificates)
        versions = versions_of(project, [file for file in files if file.yanked is None])
        if versions:
            return sorted(versions, key=lambda version: Version(version).is_prerelease)
    where = " and ".join(redacted(index) for index in configuration.indexes)
    raise EnvyError(
        f"{where} has no package {project}",
        hint="check its spelling, and the index that pip is configured for",
    )


def npm_versions(name: str, base_dir: Path, context: FetchContext) -> list[str]:
    """Return the versions of a package of the user's npm registry, the newest first.

    Pre-releases come last. Deprecated ones are left out.

    Raises:
        FetchError: the registry cannot be reached, or has no such package.
    """
    item = SourceItem(source=f"npm:{name}@0", base_dir=base_dir)
    with released():
        times = releases_of(item, context)
    if not times:
        raise FetchError(f"every version of {name} is deprecated", uri=f"npm:{name}")
    by_number = sorted(times, key=_npm_order, reverse=True)
    return sorted(by_number, key=lambda version: "-" in version)


def _npm_order(version: str) -> list[int]:
    numbers = version.partition("-")[0].partition("+")[0].split(".")
    return [int(number) if number.isdecimal() else 0 for number in numbers]
