"""`envy x`: which tools it runs."""

import pytest

from envy.cli.x import check_platform
from envy.declarations.shipped_table import shipped_recipe
from envy.errors import EnvyError
from envy.host.platform import Platform


def test_a_tool_for_another_platform_is_refused():
    """A recipe that is not for this platform is an error: no other program runs instead."""
    ninja = shipped_recipe("envy.ninja@r1")
    check_platform(ninja, Platform(os="darwin", arch="arm64"))
    check_platform(shipped_recipe("envy.git-hooks@r1"), Platform(os="windows", arch="x86_64"))
    with pytest.raises(EnvyError, match=r"not for windows-x86_64\n  hint: it is for linux, darwin"):
        check_platform(ninja, Platform(os="windows", arch="x86_64"))
