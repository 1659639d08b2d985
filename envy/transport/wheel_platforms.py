"""The platform tags of wheels that fit a named platform, whose versions are not known.

A lock has to choose a wheel that works for a whole team, so it takes a platform to be as old as
most wheels allow: glibc 2.28, musl 1.2, macOS 11. Only if a release has no such wheel, one for a
newer system is chosen: the oldest.
"""

from collections.abc import Iterator

from envy.host.platform import Platform

_GLIBC, _OLDEST_GLIBC, _NEWEST_GLIBC = 28, {"x86_64": 5, "arm64": 17}, 60
_OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MUSL, _NEWEST_MUSL = 2, 5
_MACOS, _NEWEST_MACOS = 11, 40
_MACHINES = {"arm64": "aarch64"}


def tags_of_platform(platform: Platform) -> list[str]:
    """Return the tags of wheels that fit, best first; the order is that of `packaging`."""
    if platform.os == "windows":
        return ["win_arm64" if platform.arch == "arm64" else "win_amd64"]
    if platform.os == "darwin":
        from packaging.tags import mac_platforms

        older = list(mac_platforms((_MACOS, 0), platform.arch))
        machines = (platform.arch, "universal2")
        newer = range(_MACOS + 1, _NEWEST_MACOS)
        return [*older, *(f"macosx_{major}_0_{name}" for major in newer for name in machines)]
    return list(_linux_tags(platform))


def _linux_tags(platform: Platform) -> Iterator[str]:
    machine = _MACHINES.get(platform.arch, platform.arch)
    if platform.libc == "musl":
        minors = (*range(_MUSL, -1, -1), *range(_MUSL + 1, _NEWEST_MUSL))
        yield from (f"musllinux_1_{minor}_{machine}" for minor in minors)
    else:
        oldest = _OLDEST_GLIBC.get(platform.arch, 17)
        for minor in range(_GLIBC, oldest - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _OLDER_NAMES:
                yield f"{_OLDER_NAMES[minor]}_{machine}"
        newer = range(_GLIBC + 1, _NEWEST_GLIBC)
        yield from (f"manylinux_2_{minor}_{machine}" for minor in newer)
    yield f"linux_{machine}"
