"""The choice of the file of a release that fits this machine.

Owns the rule: a wheel for any version of Python (ABI `none` or `abi3`) for this platform and C
library, the most specific platform first; with `python=`, the wheel that pip of that version
chooses. Reads nothing but the platform tags of this machine, from `packaging`.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.errors import FetchError
from envy.host.platform import Platform
from envy.limits import WHEEL_TAGS
from envy.transport.index_page import ReleaseFile
from envy.transport.wheel_platforms import tags_of_platform

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.version import Version

_SDIST_ENDINGS = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
_FREE_ABIS = ("none", "abi3")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRequest:
    """The release that is requested; `python` is "" or a version such as "3.12".

    Without a `platform`, the wheel has to fit this machine.
    """

    name: str
    version: "Version"
    python: str = ""
    platform: Platform | None = None


# Larger is better, compared in the order of the fields.
Rank = tuple[int, ...]


def choose_wheel(request: WheelRequest, files: Iterable[ReleaseFile]) -> ReleaseFile | None:
    """Return the best wheel of the requested version, or None."""
    ranked: list[tuple[Rank, str, ReleaseFile]] = []
    for file in files:
        parsed = _parsed_wheel(file.name)
        if parsed is None or parsed[0] != request.version:
            continue
        _, build, tags = parsed
        ranks = [rank for tag in tags if (rank := _rank(tag, request)) is not None]
        if ranks:
            ranked.append(((*max(ranks), build), file.name, file))
    return max(ranked, key=lambda row: row[:2])[2] if ranked else None


def choose_sdist(request: WheelRequest, files: Iterable[ReleaseFile]) -> ReleaseFile | None:
    """Return the source archive of the requested version, or None."""
    found = [
        file for file in files if _sdist_version(file.name, request.name) == str(request.version)
    ]
    order = {ending: position for position, ending in enumerate(_SDIST_ENDINGS)}
    return min(found, key=lambda file: (order[_ending(file.name)], file.name), default=None)


def is_of_version(file: ReleaseFile, version: "Version") -> bool:
    """Return whether a file of a project, wheel or source, is of this version."""
    parsed = _parsed_wheel(file.name)
    if parsed is not None:
        return parsed[0] == version
    return _sdist_version(file.name, "") == str(version)


def versions_of(name: str, files: Iterable[ReleaseFile]) -> Sequence[str]:
    """Return all versions with files, newest first."""
    return [str(version) for version in sorted(files_by_version(name, files), reverse=True)]


def files_by_version(name: str, files: Iterable[ReleaseFile]) -> "dict[Version, list[ReleaseFile]]":
    """Return the files of each version of a project."""
    from packaging.version import Version

    found: dict[Version, list[ReleaseFile]] = {}
    for file in files:
        parsed = _parsed_wheel(file.name)
        text = _sdist_version(file.name, name)
        if parsed is not None or text:
            version = parsed[0] if parsed is not None else Version(text)
            found.setdefault(version, []).append(file)
    return found


def _parsed_wheel(name: str) -> "tuple[Version, int, frozenset[Tag]] | None":
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if not name.endswith(".whl"):
        return None
    _check_tags(name)
    try:
        _, version, build, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return None
    return version, (build[0] if build else -1), tags


def _check_tags(name: str) -> None:
    """Raise if the name means too many tags: each part lists some, and all combinations count."""
    count = math.prod(part.count(".") + 1 for part in name.removesuffix(".whl").split("-")[-3:])
    if count > WHEEL_TAGS.value:
        raise FetchError(
            f"the index lists {name}, whose name means {count} tags, more than the limit "
            f"{WHEEL_TAGS.name}, {WHEEL_TAGS.value}",
            uri=name,
            hint=WHEEL_TAGS.hint,
        )


def _ending(name: str) -> str:
    return next((ending for ending in _SDIST_ENDINGS if name.endswith(ending)), "")


def _sdist_version(name: str, project: str) -> str:
    """Return the canonical version in the name of a source archive, or ""."""
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    ending = _ending(name)
    stem = name.removesuffix(ending) if ending else ""
    # Old names have dashes in both parts: the version follows the project's name.
    for dash in (position for position, sign in enumerate(stem) if sign == "-"):
        if project and canonicalize_name(stem[:dash]) != project:
            continue
        try:
            return str(Version(stem[dash + 1 :]))
        except InvalidVersion:
            continue
    return ""


def _rank(tag: "Tag", request: WheelRequest) -> Rank | None:
    if request.python:
        position = _tags_of_python(request.python, request.platform).get(tag)
        return None if position is None else (-position,)
    platforms = _platforms(request.platform)
    if tag.abi not in _FREE_ABIS or tag.platform not in platforms:
        return None
    if not tag.interpreter.startswith(("py", "cp")):
        return None
    # Of wheels for any CPython 3 from some version on, that for the oldest version is best.
    oldest = int(tag.interpreter[3:]) if tag.interpreter[3:].isdigit() else 0
    is_two = tag.interpreter[2:3] == "2"
    return (-platforms[tag.platform], int(not is_two), int(tag.abi == "none"), -oldest)


@functools.cache
def _platforms(platform: Platform | None) -> dict[str, int]:
    from packaging.tags import platform_tags

    names = platform_tags() if platform is None else tags_of_platform(platform)
    return {name: position for position, name in enumerate([*names, "any"])}


@functools.cache
def _tags_of_python(python: str, platform: Platform | None) -> "dict[Tag, int]":
    from packaging.tags import compatible_tags, cpython_tags

    try:
        numbers = tuple(int(part) for part in python.split("."))[:2]
    except ValueError:
        numbers = ()
    if len(numbers) != 2:
        raise FetchError(
            f'python = "{python}" is not a valid version of Python',
            uri="pypi:",
            hint='write it as "3.12"',
        )
    interpreter = "cp{}{}".format(*numbers)
    names = None if platform is None else tags_of_platform(platform)
    ordered = [
        *cpython_tags(numbers, platforms=names),
        *compatible_tags(numbers, interpreter=interpreter, platforms=names),
    ]
    return {tag: position for position, tag in reversed(list(enumerate(ordered)))}
