"""The environment, and what tells one machine or one envy from another: cheap to ask.

For warm commands, which ask whether anything is different, and not what it is: `platform` says so.
"""

from __future__ import annotations

import os
import sys

from envy.file_digest import file_digest

_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


def environment() -> dict[str, str]:
    """A snapshot of this process's environment variables."""
    return dict(os.environ)


def host_facts() -> list[str]:
    """Texts that are the same for as long as envy.platform would say the same of this machine."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        libc = ""
    if sys.platform == "linux" and libc.startswith("glibc "):
        return [os.uname().machine, libc, *[file_digest(path) or "" for path in _OS_RELEASE]]
    from envy.platform import host_platform

    host = host_platform()
    return [host.os, host.arch, host.os_version, f"{host.libc} {host.libc_version}"]


def engine_facts() -> list[str]:
    """Texts that are the same for as long as this envy is: where it is, and its modules.

    Of those the times count and not the content: no author works on them, but two checkouts, or
    an older and a newer envy of one version, may share a cache.
    """
    package = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  no pathlib here
    found: list[str] = []
    waiting = [package]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    found.append(entry.path)
                    waiting.append(entry.path)
    return [package, " ".join(sorted(found))]
