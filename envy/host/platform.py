"""The host: its operating system, processor, C library, cores, environment and processes.

The only module that asks the machine what it is; everything else is handed the answers. It never
starts a program on Linux, and `host_platform()` costs a few small file reads, once.
"""

import functools
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from envy.errors import DeclarationError, SourceLocation

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_RUNNING_ON: str = {"win32": "windows"}.get(sys.platform, sys.platform)
_SYSTEMS = ("linux", "darwin", "windows")
_FILTERS = {
    **{system: (system, "") for system in _SYSTEMS},
    **{
        f"{system}-{name}": (system, arch)
        for system in _SYSTEMS
        for name, arch in _ARCHITECTURES.items()
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a package is built on and for."""

    os: str  # linux, darwin, windows
    arch: str  # x86_64, arm64; the machine's own word for anything else
    os_version: str = ""
    libc: str = ""  # gnu, musl; empty where there is no such choice
    libc_version: str = ""

    @property
    def tag(self) -> str:
        """The platform as one word, such as `linux-x86_64`."""
        return f"{self.os}-{self.arch}"

    def matches(self, text: str, *, origin: SourceLocation | None = None) -> bool:
        """Whether the filter `text` (`linux`, `darwin-arm64`, …) includes this platform.

        Raises:
            DeclarationError: there is no such platform.
        """
        wanted = _FILTERS.get(text)
        if wanted is None:
            valid = ", ".join(name for name in _FILTERS if not name.endswith(("amd64", "aarch64")))
            raise DeclarationError(
                f"{text!r} is no platform", origin=origin, hint=f"a platform is one of {valid}"
            )
        system, arch = wanted
        return system == self.os and arch in ("", self.arch)


@functools.cache
def host_platform() -> Platform:
    """The platform that envy runs on."""
    machine = os.uname().machine if hasattr(os, "uname") else _windows_machine()
    libc, libc_version = find_libc() if _RUNNING_ON == "linux" else ("", "")
    return Platform(
        os=_RUNNING_ON,
        arch=_ARCHITECTURES.get(machine.lower(), machine.lower()),
        os_version=_os_version(),
        libc=libc,
        libc_version=libc_version,
    )


def _windows_machine() -> str:
    import platform

    return platform.machine()


def _os_version() -> str:
    if _RUNNING_ON == "linux":
        return read_os_release(Path("/"))
    import platform

    return platform.mac_ver()[0] or platform.version()


def read_os_release(root: Path) -> str:
    """The distribution and its version, such as `debian-12`; `linux` where nothing says so.

    The kernel's release is no answer: it changes with every update, and it is part of entry keys.
    """
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = dict(re.findall(r"^(ID|VERSION_ID)=[\"']?([^\"'\n]*)", text, re.MULTILINE))
        words = [found.get("ID", "linux"), found.get("VERSION_ID", "")]
        return "-".join(word for word in words if word)
    return "linux"


def find_libc(
    root: Path = Path("/"), confstr: Callable[[str], str | None] | None = None
) -> tuple[str, str]:
    """The C library that programs of this machine are linked with: its name and version.

    The library that Python itself was linked with is asked first, for it is loaded and thus here.
    A Python that is static, or linked with musl, does not know of GNU's; then the loader that
    lies in /lib decides.
    """
    try:
        answer = (confstr or os.confstr)("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        answer = ""
    if answer.startswith("glibc "):
        return "gnu", answer.removeprefix("glibc ").strip()
    for loader in sorted(root.glob("lib/ld-musl-*.so.1")):
        return "musl", _musl_version(loader)
    if any(root.glob("lib*/ld-linux*.so.*")):
        return "gnu", ""
    return "", ""


def _musl_version(loader: Path) -> str:
    # The loader prints its version when it is run; the same text lies in it as a C string.
    found = re.search(rb"\x00(1\.\d+\.\d+)(?:-git[^\x00]*)?\x00", loader.read_bytes())
    return found[1].decode() if found else ""


def available_cores(root: Path = Path("/")) -> int:
    """The processors that this process may use: its affinity, cut by its control group's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, _quota(root))))


def _quota(root: Path) -> float:
    """The processors that control groups allow; infinite where there is no limit."""
    groups = root / "sys/fs/cgroup"
    try:
        own = (root / "proc/self/cgroup").read_text(encoding="ascii", errors="replace")
    except OSError:
        return math.inf
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), "/")
    directory = groups / path.lstrip("/")
    quota = math.inf
    for place in (directory, *directory.parents):
        if place == groups.parent:
            break
        words = _words(place / "cpu.max")
        if len(words) == 2 and words[0] != "max":
            quota = min(quota, int(words[0]) / int(words[1]))
    legacy = _words(groups / "cpu/cpu.cfs_quota_us") + _words(groups / "cpu/cpu.cfs_period_us")
    if len(legacy) == 2 and int(legacy[0]) > 0:
        quota = min(quota, int(legacy[0]) / int(legacy[1]))
    return quota


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []


def open_standard_streams() -> None:
    """Give a process that was started with closed standard streams ones that lead nowhere.

    The next file that is opened would otherwise get their numbers, and be written to by children.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def discard_output() -> None:
    """Let what is still to be written to standard output go nowhere, without a complaint."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
