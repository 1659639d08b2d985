"""Copies of open files."""

import os

import pytest

from envy.content.tree_copy import copy_content

DATA = os.urandom(3_000_001)


@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("offset", [0, 1_000_000, len(DATA)])
def test_an_open_file_is_copied_whole_wherever_it_stands(tmp_path, mode, offset):
    """The system does not send data to a file that is only appended to, so that it is read."""
    (tmp_path / "source").write_bytes(DATA)
    with (tmp_path / "source").open("rb", buffering=0) as reading:
        reading.seek(offset)
        with (tmp_path / "copy").open(mode) as writing:
            copy_content(reading.fileno(), writing.fileno())
        assert reading.tell() == offset
    assert (tmp_path / "copy").read_bytes() == DATA
