import os
import sys
from pathlib import Path

import pytest

from envy.environment import environment
from envy.errors import DeclarationError, SourceLocation
from envy.host.platform import (
    Platform,
    available_cores,
    find_libc,
    host_platform,
    read_os_release,
)

LINUX = Platform(os="linux", arch="x86_64")
MAC = Platform(os="darwin", arch="arm64")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def no_gnu(name: str) -> str | None:
    raise ValueError(name)


def test_the_tag_joins_system_and_architecture():
    """A platform's tag is its system and its architecture with a dash between."""
    assert LINUX.tag == "linux-x86_64"


@pytest.mark.parametrize("text", ["linux", "linux-x86_64", "linux-amd64"])
def test_a_filter_includes_its_platform_by_any_of_its_names(text):
    """A filter may leave the architecture out, and may use either of its names."""
    assert LINUX.matches(text)
    assert not MAC.matches(text)


@pytest.mark.parametrize("text", ["darwin-aarch64", "darwin-arm64"])
def test_aarch64_and_arm64_are_the_same(text):
    """Filters take both names of the 64-bit ARM architecture."""
    assert MAC.matches(text)


def test_a_filter_of_another_architecture_does_not_match():
    """The architecture counts when it is given."""
    assert not LINUX.matches("linux-arm64")


@pytest.mark.parametrize("text", ["macos", "linux-", "", "x86_64", "Linux"])
def test_an_unknown_filter_is_an_error_that_lists_the_valid_ones(text):
    """A misspelt filter is not taken for a platform that does not match."""
    with pytest.raises(DeclarationError, match="linux-x86_64") as caught:
        LINUX.matches(text, origin=SourceLocation(Path("envy.lua"), 3))
    assert str(caught.value).startswith("envy.lua:3: ")


def test_the_host_is_described():
    """The host has a system, an architecture as envy names it, and a version."""
    host = host_platform()
    assert host.os in ("linux", "darwin", "windows")
    assert host.arch not in ("amd64", "aarch64")
    assert host.os_version


@pytest.mark.skipif(sys.platform != "linux", reason="about Linux")
def test_the_host_on_linux_has_a_c_library():
    """On Linux the C library is known, because packages depend on it."""
    assert host_platform().libc in ("gnu", "musl")


def test_gnu_is_found_through_the_library_itself(tmp_path):
    """A Python linked with GNU's C library reports it, with its version."""
    assert find_libc(tmp_path, lambda _: "glibc 2.36") == ("gnu", "2.36")


def test_musl_is_found_through_its_loader(tmp_path):
    """Where GNU's library does not answer, the loader in /lib names musl and its version."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/ld-musl-x86_64.so.1").write_bytes(b"\x7fELF\x00musl libc\x001.2.5\x00x")
    assert find_libc(tmp_path, no_gnu) == ("musl", "1.2.5")


def test_a_static_python_on_a_gnu_machine_finds_gnu(tmp_path):
    """A Python without GNU's library still sees that the machine has it."""
    write(tmp_path / "lib64/ld-linux-x86-64.so.2", "")
    assert find_libc(tmp_path, lambda _: None) == ("gnu", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\n', "ubuntu-24.04"),
        ("ID=arch\nBUILD_ID=rolling\n", "arch"),
        ("", "linux"),
    ],
)
def test_the_version_of_linux_is_that_of_the_distribution(tmp_path, text, expected):
    """The distribution names the version; the kernel does not."""
    write(tmp_path / "etc/os-release", text)
    assert read_os_release(tmp_path) == expected


def test_a_linux_without_release_file_is_linux(tmp_path):
    """A missing release file is not an error."""
    assert read_os_release(tmp_path) == "linux"


def test_cores_are_at_least_one_and_at_most_all():
    """At least one core is available, and no more than the machine has."""
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("quota", ["100000 100000", "50000 100000", "199999 100000"])
def test_a_quota_of_the_control_group_cuts_the_cores(tmp_path, quota):
    """A container with a quota of one processor has one core, whatever the machine has."""
    write(tmp_path / "proc/self/cgroup", "0::/a/b\n")
    write(tmp_path / "sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    write(tmp_path / "sys/fs/cgroup/a/cpu.max", quota)
    assert available_cores(tmp_path) == 1


def test_the_environment_is_a_copy():
    """A change to the snapshot does not reach the process."""
    environment()["ENVY_TEST_COPY"] = "1"
    assert "ENVY_TEST_COPY" not in environment()
