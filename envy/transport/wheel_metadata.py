"""What a wheel says about itself: its name, its version, and what it requires."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from envy.content.archive_errors import decompression_errors
from envy.content.zip_file import content_of, open_zip
from envy.errors import ArchiveError
from envy.limits import REGISTRY_DOCUMENT

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMetadata:
    """One release of a project; `requires` are requirements with markers (PEP 508)."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""


def metadata_of_wheel(path: Path) -> WheelMetadata:
    """Return the metadata of a wheel.

    Raises:
        ArchiveError: it is not a wheel, or its metadata is not valid.
    """
    damage: tuple[type[Exception], ...] = (OSError, *decompression_errors())
    try:
        with open_zip(path) as zipped:
            found = [member for member in zipped.infolist() if _METADATA.fullmatch(member.filename)]
            if len(found) != 1:
                raise ArchiveError(f"{path} is not a wheel: it has no METADATA", archive=path)
            with content_of(zipped, found[0]) as content:
                data = content.read(REGISTRY_DOCUMENT.value)
    except damage as error:
        raise ArchiveError(f"{path} is not a wheel: {error}", archive=path) from error
    return parse_metadata(data.decode("utf-8", "replace"), path)


def parse_metadata(text: str, path: Path) -> WheelMetadata:
    """Return the metadata of a wheel from its file METADATA.

    Raises:
        ArchiveError: it lacks the name or the version, or a requirement is not valid.
    """
    from email.parser import HeaderParser

    fields = HeaderParser().parsestr(text)
    found = WheelMetadata(
        name=str(fields.get("Name", "")).strip(),
        version=str(fields.get("Version", "")).strip(),
        requires=tuple(str(row) for row in fields.get_all("Requires-Dist", [])),
        requires_python=str(fields.get("Requires-Python", "")).strip(),
    )
    if problem := _problem_of(found.name, found.version, found.requires_python, found.requires):
        raise ArchiveError(f"the metadata of {path} cannot be used: {problem}", archive=path)
    return found


def _problem_of(name: str, version: str, requires_python: str, requires: Iterable[str]) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import InvalidName, canonicalize_name
    from packaging.version import InvalidVersion, Version

    try:
        canonicalize_name(name, validate=True)
        Version(version)
        SpecifierSet(requires_python)
        for row in requires:
            Requirement(row)
    except (InvalidName, InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
        return str(error).splitlines()[0]
    return ""
