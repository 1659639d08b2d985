"""The names of the objects of a depot."""

from pathlib import Path

import pytest

from envy.cache.layout import CacheLayout
from envy.sharing.object_names import bound_name, is_object_name, shared_name, without_root

KEY = "0123456789abcdef" * 4


def entry(root="/c"):
    return CacheLayout(Path(root)).entry("local.gn@r0", "linux-x86_64", KEY)


def test_names_of_an_entry():
    """The name has the platform and the full key; a bound one has the digest of the root, too."""
    assert shared_name(entry(), KEY) == f"v1/linux-x86_64/{KEY}.tar.zst"
    bound = bound_name(entry(), KEY)
    assert bound.startswith(f"v1/linux-x86_64/{KEY}-")
    assert without_root(bound) == shared_name(entry(), KEY)
    assert bound_name(entry("/other"), KEY) != bound
    assert is_object_name(bound)
    assert is_object_name(shared_name(entry(), KEY))


@pytest.mark.parametrize(
    "name",
    ["", "x", f"{KEY}.tar.zst", f"v2/linux-x86_64/{KEY}.tar.zst", f"v1/../{KEY}.tar.zst/x",
     f"v1/linux-x86_64/{KEY[1:]}.tar.zst", f"v1/linux-x86_64/.{KEY}.tar.zst.0011"],
)  # fmt: skip
def test_other_names(name):
    """Anything else in a folder is no object."""
    assert not is_object_name(name)
