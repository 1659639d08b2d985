"""The packages that a release of npm pins in its own npm-shrinkwrap.json, as data.

Owns the strict reading of that file, in all versions of its format: whoever published the release
wrote it. Opens neither files nor connections.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from envy.errors import FetchError
from envy.host.platform import Platform
from envy.limits import NPM_PACKAGES
from envy.transport.addresses import joined

FILE = "npm-shrinkwrap.json"
_NAME = r"(?:@[\w.~-]+/)?[\w.~-]+"
_PATH = re.compile(rf"node_modules/{_NAME}(?:/node_modules/{_NAME})*", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]*", re.ASCII)
_ALIAS = re.compile(rf"npm:({_NAME})@(.+)", re.ASCII)
_ADDRESS = re.compile(r"https?://[^/]")
_PROGRAM = re.compile(r"[\w.-]{1,200}", re.ASCII)
_SYSTEMS = {"windows": "win32"}  # envy's name, and that of Node.js
_PROCESSORS = {"x86_64": "x64"}
_LIBRARIES = {"gnu": "glibc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedPackage:
    """A package in its place, such as `node_modules/a/node_modules/b`, with its integrity.

    `platforms` are the lists `os`, `cpu` and `libc`; an optional package that they exclude is left
    out. `programs` are the paths of its programs, by name.
    """

    path: str
    name: str
    version: str
    address: str
    integrity: str
    optional: bool
    platforms: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    programs: Mapping[str, str]
    has_script: bool


def pinned_packages(document: object, *, uri: str) -> list[PinnedPackage]:
    """Return the packages to install, those that contain others first.

    What is needed for development only, and what the release brings itself, is left out.

    Raises:
        FetchError: the document is not a shrinkwrap that pins each package by its integrity.
    """
    tables = _tables_of(document, uri)
    found = []
    for path, table in tables:
        if path and not (table.get("dev") or table.get("inBundle") or table.get("bundled")):
            found.append(_package(path, table, uri))
        if len(found) > NPM_PACKAGES.value:
            raise _refusal(
                uri,
                f"has more than {NPM_PACKAGES.shown}, the limit {NPM_PACKAGES.name}",
                hint=NPM_PACKAGES.hint,
            )
    return sorted(found, key=lambda package: package.path.split("/"))


def is_for(package: PinnedPackage, platform: Platform) -> bool:
    """Return whether a package is for a platform."""
    names = (
        _SYSTEMS.get(platform.os, platform.os),
        _PROCESSORS.get(platform.arch, platform.arch),
        _LIBRARIES.get(platform.libc, platform.libc),
    )
    return all(
        _is_in(name, listed)
        for name, listed in zip(names, package.platforms, strict=True)
        if name  # there is no C library to choose elsewhere
    )


def _is_in(name: str, listed: tuple[str, ...]) -> bool:
    if f"!{name}" in listed:
        return False
    wanted = [each for each in listed if not each.startswith("!")]
    return not wanted or name in wanted or "any" in wanted


def _tables_of(document: object, uri: str) -> list[tuple[str, Mapping[str, object]]]:
    packages = document.get("packages") if isinstance(document, dict) else None
    if isinstance(packages, dict):
        rows = list(packages.items())
    elif isinstance(document, dict) and isinstance(document.get("dependencies", {}), dict):
        rows = list(_nested(document.get("dependencies", {}), ""))  # version 1 of the format
    else:
        raise _refusal(uri, "is not a list of packages")
    for _, table in rows:
        if not isinstance(table, dict):
            raise _refusal(uri, "is not a list of packages")
    return rows


def _nested(tables: object, above: str) -> Iterator[tuple[str, object]]:
    waiting = [(above, tables)]
    while waiting:
        above, tables = waiting.pop()
        for name, table in tables.items() if isinstance(tables, dict) else ():
            path = f"{above}node_modules/{name}"
            yield path, table
            if isinstance(table, dict) and not (table.get("dev") or table.get("bundled")):
                waiting.append((f"{path}/", table.get("dependencies")))


def _package(path: str, table: Mapping[str, object], uri: str) -> PinnedPackage:
    steps = path.split("/")
    if not _PATH.fullmatch(path) or "." in steps or ".." in steps:
        raise _refusal(uri, f"has a package in a place that is none of npm's: {path[:200]!r}")
    name = str(table.get("name") or path.rpartition("node_modules/")[2])
    version, address = str(table.get("version") or ""), str(table.get("resolved") or "")
    if alias := _ALIAS.fullmatch(version):
        name, version = alias[1], alias[2]
    is_release = _VERSION.fullmatch(version) and re.fullmatch(_NAME, name, re.ASCII)
    if table.get("link") or not is_release or not _is_address(address):
        raise _refusal(uri, f"has {path}, which is no release of a registry")
    integrity = table.get("integrity")
    if not integrity:
        raise _refusal(uri, f"has no integrity for {path}, so its content is not known")
    programs = table.get("bin")
    return PinnedPackage(
        path=path,
        name=name,
        version=version,
        address=address,
        integrity=str(integrity),
        optional=bool(table.get("optional")),
        platforms=(_texts(table, "os"), _texts(table, "cpu"), _texts(table, "libc")),
        programs=programs_of(programs, name),
        has_script=bool(table.get("hasInstallScript")),
    )


def _is_address(text: str) -> bool:
    """Return whether a text is an address that can be requested, or none at all."""
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return not text or (is_plain and _ADDRESS.match(text) is not None and bool(joined("", text)))


def programs_of(listed: object, name: str) -> dict[str, str]:
    """Return the programs of the field `bin` of a package; what is not a plain name is left out."""
    if isinstance(listed, str):
        listed = {name.rpartition("/")[2]: listed}
    return {
        program: to
        for program, to in (listed.items() if isinstance(listed, dict) else ())
        # Half a character of UTF-16 is not printable, either: it is in no path.
        if isinstance(to, str)
        and to.isprintable()
        and _PROGRAM.fullmatch(program)
        and program not in {".", ".."}
    }


def _texts(table: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = table.get(name)
    listed = value if isinstance(value, list) else [value] if value else []
    return tuple(map(str, listed))


def _refusal(uri: str, why: str, *, hint: str = "") -> FetchError:
    return FetchError(
        f"the {FILE} of {uri} {why}",
        uri=uri,
        hint=hint
        or "without shrinkwrap = true, the release alone is unpacked; envy.npmtool "
        "resolves and installs what it needs",
    )
