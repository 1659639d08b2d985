"""The platforms that a project can be locked for, by name.

`linux-x86_64` means GNU's C library; that of musl is written out, as `linux-x86_64-musl`. A named
platform has no version of its system: what a file declares for one version is not locked.
"""

from __future__ import annotations

from envy.errors import DeclarationError, SourceLocation
from envy.host.platform import Platform

_LINUX = {
    f"linux-{arch}{ending}": Platform(os="linux", arch=arch, libc=libc)
    for arch in ("arm64", "x86_64")
    for libc, ending in (("gnu", ""), ("musl", "-musl"))
}
_OTHERS = {
    f"{system}-{arch}": Platform(os=system, arch=arch)
    for system in ("darwin", "windows")
    for arch in ("arm64", "x86_64")
}
NAMED_PLATFORMS = {**_OTHERS, **_LINUX}
USUAL_PLATFORMS = ("darwin-arm64", "darwin-x86_64", "linux-arm64", "linux-x86_64", "windows-x86_64")


def named_platform(name: str, *, origin: SourceLocation | None = None) -> Platform:
    """Return the platform of a name.

    Raises:
        DeclarationError: no platform has this name.
    """
    found = NAMED_PLATFORMS.get(name)
    if found is None:
        raise DeclarationError(
            f"{name!r} is not a platform that a project can be locked for",
            origin=origin,
            hint=f"these platforms can be locked: {', '.join(sorted(NAMED_PLATFORMS))}",
        )
    return found


def name_of_platform(platform: Platform) -> str:
    """Return the name of a platform: without versions, and without the usual C library."""
    return f"{platform.tag}-musl" if platform.libc == "musl" else platform.tag
