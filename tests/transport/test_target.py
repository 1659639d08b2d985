"""Where a fetched file is placed."""

import pytest

from envy.errors import FetchError
from envy.transport.target import target_in


@pytest.mark.parametrize("name", ["a.tar", "sub/a.tar"])
def test_the_folder_of_a_name_is_created(tmp_path, name):
    """Both the folder that is fetched into, and those that the name has, are there afterwards."""
    path = target_in(tmp_path / "into", name)
    assert path == tmp_path / "into" / name
    assert path.parent.is_dir()


@pytest.mark.parametrize("name", ["", "..", "../a", "a/.."])
def test_a_name_that_leads_outside(tmp_path, name):
    """It is an error, and nothing is created."""
    with pytest.raises(FetchError, match="would be written through a path that leads outside"):
        target_in(tmp_path / "into", name)
    assert not (tmp_path / "into").exists()
