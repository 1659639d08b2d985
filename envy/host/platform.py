"""The host: its operating system, processor, C library and cores, and the standard streams.

Only this module determines the properties of the machine; others receive them. On Linux it starts
no program, and `host_platform()` reads a few small files, once.
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
    """The platform that a package is built on and for."""

    os: str  # linux, darwin, windows
    arch: str  # x86_64, arm64; the machine's own name for anything else
    os_version: str = ""
    libc: str = ""  # gnu, musl; empty on systems other than Linux
    libc_version: str = ""

    @property
    def tag(self) -> str:
        """The system and the architecture, such as `linux-x86_64`."""
        return f"{self.os}-{self.arch}"

    def matches(self, text: str, *, origin: SourceLocation | None = None) -> bool:
        """Return whether the filter `text` (`linux`, `darwin-arm64`, …) includes this platform.

        Raises:
            DeclarationError: the filter is not the name of a platform.
        """
        wanted = _FILTERS.get(text)
        if wanted is None:
            valid = ", ".join(name for name in _FILTERS if not name.endswith(("amd64", "aarch64")))
            raise DeclarationError(
                f"{text!r} is not a platform", origin=origin, hint=f"platforms are {valid}"
            )
        system, arch = wanted
        return system == self.os and arch in ("", self.arch)


@functools.cache
def host_platform() -> Platform:
    """Return the platform that envy runs on."""
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
    """Return the distribution and its version, such as `debian-12`, or `linux` if unknown.

    Not the kernel's release, which changes with every update: the version is part of entry keys.
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
    """Return name and version of the C library that programs of this machine are linked with.

    The library that Python itself is linked with is asked first, as it certainly exists. A Python
    that is static, or linked with musl, does not know GNU's library; then the loader in /lib
    decides.
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
    # The loader prints its version when it is run, and contains that text as a C string.
    found = re.search(rb"\x00(1\.\d+\.\d+)(?:-git[^\x00]*)?\x00", loader.read_bytes())
    return found[1].decode() if found else ""


def available_cores(root: Path = Path("/")) -> int:
    """Return how many processors this process may use: its affinity, within its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, _quota(root))))


def _quota(root: Path) -> float:
    """Return how many processors the control groups allow; infinite without a limit."""
    groups = root / "sys/fs/cgroup"
    try:
        own = (root / "proc/self/cgroup").read_text(encoding="ascii", errors="replace")
    except OSError:
        return math.inf
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), "/")
    directory = groups / path.lstrip("/")
    quota = math.inf
    for group in (directory, *directory.parents):
        if group == groups.parent:
            break
        words = _words(group / "cpu.max")
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
    """Open each closed standard stream of this process on the null device.

    Otherwise the next file that is opened would get its number, and children would write to it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def discard_output() -> None:
    """Discard what is still to be written to standard output, without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
