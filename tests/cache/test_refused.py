"""Downloads with a wrong digest: kept aside under their own digest, within a bound."""

import os
from pathlib import Path

import pytest

from envy.cache.downloads import Downloads
from envy.cache.layout import CacheLayout
from envy.cache.leftovers import find_leftovers
from envy.limits import adopt_limits


@pytest.fixture
def refuse(tmp_path):
    """Refuse a file with this content and name; return where it is kept."""

    def refuse(content, sha256, **settings):
        part = tmp_path / "part"
        part.write_bytes(content)
        (tmp_path / "cache").mkdir(exist_ok=True)
        return Downloads(str(tmp_path / "cache"), **settings).refuse(str(part), sha256)

    yield refuse
    adopt_limits({})


def test_the_oldest_go_first(refuse, tmp_path):
    """All together are bounded; what is larger alone stays where it is; gc knows the rest."""
    adopt_limits({"refused-downloads": 100})
    first, second = refuse(b"x" * 40, "1" * 64), refuse(b"y" * 40, "2" * 64)
    os.utime(first, (5, 5))
    os.utime(second, (4, 4))
    third = refuse(b"z" * 50, "3" * 64)
    assert sorted(path.name for path in Path(third).parent.iterdir()) == ["1" * 64, "3" * 64]
    assert Path(third).read_bytes() == b"z" * 50
    assert Path(third).stat().st_mode & 0o777 == 0o444
    assert refuse(b"x" * 101, "4" * 64) == ""
    assert (tmp_path / "part").stat().st_size == 101
    found = find_leftovers(CacheLayout(tmp_path / "cache"), lambda _: ("", ()))
    assert {(each.kind, each.path, each.partial) for each in found} == {
        ("download", first, False),
        ("download", third, False),
    }


def test_what_is_in_the_way(refuse, tmp_path):
    """A folder or a link with the name is replaced, and a linked folder is not followed."""
    place = tmp_path / "cache" / "downloads" / "refused"
    (place / ("1" * 64)).mkdir(parents=True)
    (place / ("2" * 64)).symlink_to(tmp_path / "elsewhere")
    for digit in "12":
        assert refuse(b"x", digit * 64) == str(place / (digit * 64))
        assert (place / (digit * 64)).read_bytes() == b"x"
        assert not (place / (digit * 64)).is_symlink()
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        refuse(b"x", "3" * 64)
    assert refuse(b"x", "3" * 64, writes=False) == ""
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2
