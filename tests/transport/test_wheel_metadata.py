"""What a wheel says about itself."""

import pytest
from loopback.package_index import make_wheel

from envy.errors import ArchiveError
from envy.transport.wheel_metadata import metadata_of_wheel

HEAD = "Metadata-Version: 2.1\nName: Tool\nVersion: 1.0\n"


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "tool-1.0-py3-none-any.whl"
        path.write_bytes(content)
        return metadata_of_wheel(path)

    return read


def test_the_fields_that_count_are_read(read):
    """The text after the head is a description, whatever it looks like."""
    text = f"{HEAD}Requires-Dist: a>1; extra == 'x'\nRequires-Dist: b\nRequires-Python: >=3.9\n\n"
    found = read(make_wheel({"tool-1.0.dist-info/METADATA": text + "Name: other\n"}))
    assert (found.name, found.version) == ("Tool", "1.0")
    assert found.requires == ("a>1; extra == 'x'", "b")
    assert found.requires_python == ">=3.9"


def changed(at, value):
    """A wheel whose flags or method are others, in both headers of its metadata."""
    data = bytearray(make_wheel({"tool.dist-info/METADATA": HEAD}))
    central = data.find(b"PK\x01\x02")
    data[at] = data[central + at + 2] = value
    return bytes(data)


BAD = [
    b"",
    b"no zip",
    make_wheel({"METADATA": HEAD}),
    make_wheel({"a.dist-info/METADATA": HEAD, "b.dist-info/METADATA": HEAD}),
    make_wheel({"tool.dist-info/METADATA": HEAD})[:-30],
    make_wheel({"tool.dist-info/METADATA": "Version: 1\n"}),
    make_wheel({"tool.dist-info/METADATA": b"\xff\xfe"}),
    make_wheel({"tool.dist-info/METADATA": HEAD.replace("1.0", "one")}),
    make_wheel({"tool.dist-info/METADATA": HEAD.replace("Tool", "../x")}),
    make_wheel({"tool.dist-info/METADATA": f"{HEAD}Requires-Dist: a b\n"}),
    make_wheel({"tool.dist-info/METADATA": f"{HEAD}Requires-Python: three\n"}),
    changed(6, 1),  # encrypted
    changed(8, 14),  # compressed in other ways than it says
    changed(8, 9),
    changed(8, 98),
]


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_anything_else_is_an_error_that_names_the_file(read, content):
    """It may come from anybody."""
    with pytest.raises(ArchiveError, match=r"tool-1\.0-py3-none-any\.whl"):
        read(content)
