"""The names of platforms that a project can be locked for."""

import pytest

from envy.errors import DeclarationError
from envy.host.named_platforms import (
    NAMED_PLATFORMS,
    USUAL_PLATFORMS,
    name_of_platform,
    named_platform,
)
from envy.host.platform import Platform


def test_names_are_those_of_their_platforms():
    """Each name leads to a platform that has this name, and no version of its system."""
    for name in NAMED_PLATFORMS:
        platform = named_platform(name)
        assert name_of_platform(platform) == name
        assert platform.os_version == platform.libc_version == ""
    assert set(USUAL_PLATFORMS) < set(NAMED_PLATFORMS)


def test_linux_means_the_usual_library():
    """`linux-x86_64` has GNU's C library, and musl is written out; versions do not count."""
    assert named_platform("linux-x86_64").libc == "gnu"
    assert named_platform("linux-x86_64-musl").libc == "musl"
    here = Platform(os="linux", arch="arm64", os_version="debian-12", libc="gnu", libc_version="2")
    assert name_of_platform(here) == "linux-arm64"


def test_an_unknown_name_lists_the_known_ones():
    """The error has the names that can be used."""
    with pytest.raises(DeclarationError, match="'linux' is not a platform that") as caught:
        named_platform("linux")
    assert "linux-x86_64-musl" in caught.value.hint
