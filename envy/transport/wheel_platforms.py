"""The platform tags of wheels that fit a named platform, whose versions are not known.

A lock has to choose a wheel that works for a whole team, so it takes a platform to be as old as
most wheels require: glibc 2.28, musl 1.2, macOS 11.
"""

from collections.abc import Iterator

from envy.host.platform import Platform

_GLIBC, _OLDEST_GLIBC = 28, {"x86_64": 5, "arm64": 17}
_OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MUSL = 2
_MACOS = (11, 0)
_MACHINES = {"arm64": "aarch64"}


def tags_of_platform(platform: Platform) -> list[str]:
    """Return the tags of wheels that fit, best first; the order is that of `packaging`."""
    if platform.os == "windows":
        return ["win_arm64" if platform.arch == "arm64" else "win_amd64"]
    if platform.os == "darwin":
        from packaging.tags import mac_platforms

        return list(mac_platforms(_MACOS, platform.arch))
    return list(_linux_tags(platform))


def _linux_tags(platform: Platform) -> Iterator[str]:
    machine = _MACHINES.get(platform.arch, platform.arch)
    if platform.libc == "musl":
        yield from (f"musllinux_1_{minor}_{machine}" for minor in range(_MUSL, -1, -1))
    else:
        oldest = _OLDEST_GLIBC.get(platform.arch, 17)
        for minor in range(_GLIBC, oldest - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _OLDER_NAMES:
                yield f"{_OLDER_NAMES[minor]}_{machine}"
    yield f"linux_{machine}"
