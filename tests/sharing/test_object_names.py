"""The names of the objects of a depot."""

from pathlib import Path

import pytest

from envy.cache.layout import CacheLayout
from envy.sharing.object_names import (
    bound_name,
    is_object_name,
    shared_name,
    signer_in,
    without_root,
)

KEY = "0123456789abcdef" * 4
SIGNER = "0123456789ABCDEF"


def entry(root="/c"):
    return CacheLayout(Path(root)).entry("local.gn@r0", "linux-x86_64", KEY)


@pytest.mark.parametrize("signer", ["", SIGNER])
def test_names_of_an_entry(signer):
    """The name has signer, platform and full key; a bound one has the digest of the root, too."""
    shared = shared_name(entry(), KEY, signer)
    assert shared == f"v2/{signer or 'unsigned'}/linux-x86_64/{KEY}.tar.zst"
    bound = bound_name(entry(), KEY, signer)
    assert bound.startswith(f"{shared.removesuffix('.tar.zst')}-")
    assert without_root(bound) == shared
    assert bound_name(entry("/other"), KEY, signer) != bound
    assert is_object_name(bound)
    assert is_object_name(shared)
    assert signer_in(bound) == signer_in(shared) == signer


@pytest.mark.parametrize(
    "name",
    ["", "x", f"{KEY}.tar.zst", f"v2/linux-x86_64/{KEY}.tar.zst",
     f"v1/linux-x86_64/{KEY}.tar.zst", f"v1/unsigned/linux-x86_64/{KEY}.tar.zst",
     f"v2/{SIGNER.lower()}/linux-x86_64/{KEY}.tar.zst", f"v2/unsigned/../{KEY}.tar.zst/x",
     f"v2/unsigned/linux-x86_64/{KEY[1:]}.tar.zst",
     f"v2/unsigned/linux-x86_64/.{KEY}.tar.zst.0011"],
)  # fmt: skip
def test_other_names(name):
    """Anything else in a folder is no object."""
    assert not is_object_name(name)
    assert signer_in(name) == ""
