"""Which releases a Python program needs, on every platform, and the digests of all their wheels.

Owns the choice of the versions and the conditions under which each is needed. Opens neither files
nor connections: it asks a `ReleaseSource`. Only wheels count, so that nothing is ever built.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from envy.content.digest_text import is_digest
from envy.errors import FetchError
from envy.host.named_platforms import NAMED_PLATFORMS
from envy.host.platform import Platform
from envy.transport.index_page import ReleaseFile
from envy.transport.wheel_choice import WheelRequest, choose_wheel, files_by_version
from envy.transport.wheel_metadata import WheelMetadata

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.version import Version

_MINORS = range(11, 25)  # of Python 3; wheels for the last of them are years away
_PLATFORMS = ("linux-x86_64", "linux-arm64", "darwin-arm64", "darwin-x86_64")
_MACHINES = {("linux", "arm64"): "aarch64"}
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})  # those that pip takes
_ROUNDS = 100


class ReleaseSource(Protocol):
    """What an index knows."""

    def files(self, name: str) -> Sequence[ReleaseFile]:
        """Return all files of a project; none if it is unknown."""

    def metadata(self, name: str, version: str, wheel: ReleaseFile) -> WheelMetadata:
        """Return the metadata of a release, of which `wheel` is one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedRelease:
    """A release, the digests of its wheels ("sha256:…"), and when it is needed ("": always)."""

    name: str
    version: str
    marker: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HashList:
    """All releases of a program, sorted, and the versions of Python for which each has a wheel."""

    releases: tuple[PinnedRelease, ...]
    pythons: tuple[str, ...]  # newest first


@dataclass(frozen=True, slots=True)
class _Machine:
    python: str
    platform: Platform
    variables: Mapping[str, str] = field(hash=False, compare=False)


@dataclass(slots=True)
class _Need:
    """A chosen release, and where it is needed: on these machines, under these conditions."""

    metadata: WheelMetadata
    wheels: Sequence[ReleaseFile]
    machines: set[int] = field(default_factory=set)
    conditions: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)


class _Narrowed(Exception):
    """A version that was chosen does not satisfy a requirement that was found later."""


def make_hash_list(
    root: WheelMetadata,
    wheels: Sequence[ReleaseFile],
    releases: ReleaseSource,
    preferred: Callable[[str], str],
) -> HashList:
    """Return what a program needs, whose own wheels are given.

    Of each project, the version that `preferred` returns is taken if it satisfies and the index has
    it, else the newest one; withdrawn ones are not, and pre-releases only if there is nothing else.

    Raises:
        FetchError: no release satisfies, a wheel has no digest, or no Python has a wheel of each.
    """
    machines = _machines()
    chooser = _Chooser(releases, preferred)
    for _ in range(_ROUNDS):
        try:
            needs = _needs_of(root, wheels, machines, chooser)
            break
        except _Narrowed:
            continue  # the requirement is remembered
    else:
        raise FetchError(f"no releases satisfy all that {root.name} requires", uri=root.name)
    pythons = tuple(
        f"3.{minor}" for minor in reversed(_MINORS) if _has_wheels(f"3.{minor}", machines, needs)
    )
    if not pythons:
        names = ", ".join(f"{name} {need.metadata.version}" for name, need in needs.items())
        raise FetchError(
            "there is no version of Python 3.11 or newer for which each has a wheel: " + names,
            uri=root.name,
        )
    pinned = tuple(_pinned(name, needs[name], len(machines)) for name in sorted(needs))
    return HashList(releases=pinned, pythons=pythons)


def _machines() -> Sequence[_Machine]:
    found = []
    for minor, patch, name in itertools.product(_MINORS, (0, 99), _PLATFORMS):
        platform = NAMED_PLATFORMS[name]
        variables = {
            "implementation_name": "cpython",
            "implementation_version": f"3.{minor}.{patch}",
            "os_name": "posix",
            "platform_machine": _MACHINES.get((platform.os, platform.arch), platform.arch),
            "platform_python_implementation": "CPython",
            "platform_system": platform.os.title(),
            "python_full_version": f"3.{minor}.{patch}",
            "python_version": f"3.{minor}",
            "sys_platform": platform.os,
        }
        found.append(_Machine(f"3.{minor}", platform, variables))
    return found


def _needs_of(
    root: WheelMetadata,
    wheels: Sequence[ReleaseFile],
    machines: Sequence[_Machine],
    chooser: _Chooser,
) -> dict[str, _Need]:
    """Return what is needed, by canonical name.

    Raises:
        _Narrowed: begin again; FetchError: no release satisfies.
    """
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion

    everywhere = set(range(len(machines)))
    name: str = canonicalize_name(root.name)
    needs = {name: _Need(root, wheels, everywhere, [""])}
    queue = [(name, everywhere, "")]
    while queue:
        parent, where, condition = queue.pop(0)
        extras = {"", *needs[parent].extras}
        for requirement in map(Requirement, needs[parent].metadata.requires):
            marker = requirement.marker
            try:
                own = {one for one in where if _holds(marker, machines[one], extras)}
            except (InvalidVersion, UndefinedComparison, UndefinedEnvironmentName) as error:
                raise FetchError(
                    f"{parent} requires {requirement.name} under a condition that is not valid: "
                    f"{marker}",
                    uri=f"pypi:{parent}",
                ) from error
            if not own:
                continue
            name = canonicalize_name(requirement.name)
            chooser.narrow(name, str(requirement.specifier), by=parent)
            need = needs.get(name)
            if need is None:
                need = needs[name] = _Need(*chooser.choose(name))
            elif not chooser.satisfies(name, need.metadata.version):
                raise _Narrowed
            if own <= need.machines and requirement.extras <= need.extras:
                continue
            text = _both(condition, "" if own == where else str(marker))
            need.machines |= own
            need.conditions.append(text)
            need.extras |= requirement.extras
            queue.append((name, own, text))
    return needs


def _holds(marker: Marker | None, machine: _Machine, extras: set[str]) -> bool:
    return marker is None or any(
        marker.evaluate({**machine.variables, "extra": extra}) for extra in extras
    )


def _both(first: str, second: str) -> str:
    if not first or not second:
        return first or second
    return f"({first}) and ({second})"


class _Chooser:
    """Chooses the version of each project, under all requirements that were met so far."""

    def __init__(self, releases: ReleaseSource, preferred: Callable[[str], str]) -> None:
        self._releases = releases
        self._preferred = preferred
        self._specifiers: dict[str, dict[str, str]] = {}

    def narrow(self, name: str, specifier: str, *, by: str) -> None:
        if specifier:
            self._specifiers.setdefault(name, {})[specifier] = by

    def satisfies(self, name: str, version: str) -> bool:
        from packaging.specifiers import SpecifierSet

        wanted = SpecifierSet(",".join(self._specifiers.get(name, ())))
        return wanted.contains(version, prereleases=True)

    def choose(self, name: str) -> tuple[WheelMetadata, Sequence[ReleaseFile]]:
        wheels = [
            file
            for file in self._releases.files(name)
            if file.name.endswith(".whl") and file.yanked is None
        ]
        by_version = files_by_version(name, wheels)
        fitting = [version for version in by_version if self.satisfies(name, str(version))]
        if not fitting:
            raise self._nothing_fits(name, by_version)
        version = max(fitting, key=lambda one: self._rank(name, one, by_version[one]))
        found = self._releases.metadata(name, str(version), by_version[version][0])
        return found, by_version[version]

    def _rank(
        self, name: str, version: Version, wheels: Sequence[ReleaseFile]
    ) -> tuple[bool, bool, bool, Version]:
        return (
            str(version) == self._preferred(name),
            not version.is_prerelease,
            any(is_for(file, f"3.{_MINORS[0]}") for file in wheels),
            version,
        )

    def _nothing_fits(self, name: str, versions: Mapping[Version, object]) -> FetchError:
        rows = [f"{text} ({by})" for text, by in self._specifiers.get(name, {}).items()]
        newest = max(versions, default=None)
        wanted = f"{name} {' and '.join(rows)}".strip()
        return FetchError(
            f"the package index has no release of {wanted} that has a wheel",
            uri=f"pypi:{name}",
            hint=f"its newest is {newest}" if newest else "it has no wheel of it at all",
        )


def is_for(file: ReleaseFile, python: str) -> bool:
    """Return whether the index lists a file for a version of Python."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(file.requires_python).contains(python)
    except InvalidSpecifier:
        return True  # as for pip


def _has_wheels(python: str, machines: Sequence[_Machine], needs: Mapping[str, _Need]) -> bool:
    """Return whether there is a platform on which this Python has a wheel of all it needs."""
    return any(
        machine.python == python
        and all(
            _has_wheel(name, need, machine) for name, need in needs.items() if at in need.machines
        )
        for at, machine in enumerate(machines)
    )


def _has_wheel(name: str, need: _Need, machine: _Machine) -> bool:
    from packaging.version import Version

    request = WheelRequest(
        name=name,
        version=Version(need.metadata.version),
        python=machine.python,
        platform=machine.platform,
    )
    allowed = [file for file in need.wheels if is_for(file, machine.python)]
    own = replace(need.wheels[0], requires_python=need.metadata.requires_python)
    return is_for(own, machine.python) and choose_wheel(request, allowed) is not None


def _pinned(name: str, need: _Need, count: int) -> PinnedRelease:
    digests = set()
    for file in need.wheels:
        algorithm, digest = file.digest or ("", "")
        if algorithm not in _ALGORITHMS or not is_digest(algorithm, digest):
            raise FetchError(
                f"the package index names no SHA-256 digest of {file.name}", uri=f"pypi:{name}"
            )
        digests.add(f"{algorithm}:{digest}")
    conditions = [""] if len(need.machines) == count else need.conditions
    marker = conditions[0] if len(conditions) == 1 else " or ".join(f"({c})" for c in conditions)
    if not marker.isprintable():  # it would be more than one line
        raise FetchError(f"{name} is required under a condition that is not valid", uri=name)
    return PinnedRelease(
        name=name,
        version=need.metadata.version,
        marker=marker,
        digests=tuple(sorted(digests)),
    )
