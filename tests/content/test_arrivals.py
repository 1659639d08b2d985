"""Two items that bring the same path must bring the same content, which is compared only there."""

import os

import pytest

from envy.content.arrivals import Arrivals, Content, PathConflict
from envy.content.below_root import open_below, parts_of
from envy.content.brought import Brought

TEXT = Content(is_link=False, executable=False, digest="text")


@pytest.fixture
def below(tmp_path):
    with open_below(tmp_path / "root") as opened:
        opened.arrivals = Arrivals()
        yield opened


def bring(below, item, *, overlay=False, links=(), **files):
    """Unpack an item of files (a list: one after another under the same name) and links."""
    below.arrivals.begin(item, overlay=overlay)
    for name, texts in files.items():
        for text in texts if isinstance(texts, list) else [texts]:
            descriptor = below.create_file(parts_of(name.replace("_", "/")), 0o644)
            os.write(descriptor, text.encode())
            os.close(descriptor)
    for name, to in links:
        below.create_link(parts_of(name), Brought(item, name, to, judged=True))
    below.arrivals.check(below.content)


def test_content_is_read_only_where_items_meet():
    """Nothing is read for a path that is new, or that the same item brings again."""
    seen = []

    def look(path):
        seen.append(path)
        return TEXT

    arrivals = Arrivals()
    arrivals.begin("a", overlay=False)
    for _ in range(2):
        arrivals.note(("d",), "x")
        arrivals.note_replaced(("d", "x"), look)
    arrivals.begin("b", overlay=False)
    arrivals.note_replaced(("d", "new"), look)
    arrivals.check(look)
    assert seen == []
    arrivals.note_replaced(("d", "x"), look)
    arrivals.check(look)
    assert seen == [("d", "x")] * 2


def test_an_overlay_reads_nothing():
    """What an overlay replaces is not compared."""
    arrivals = Arrivals()
    arrivals.begin("a", overlay=False)
    arrivals.note((), "x")
    arrivals.begin("b", overlay=True)
    arrivals.note_replaced(("x",), pytest.fail)
    arrivals.check(pytest.fail)


def test_the_last_content_of_an_item_counts(below):
    """An item may bring a name twice; only what is left is compared with what was there."""
    bring(below, "a", x="same")
    bring(below, "b", x=["other", "same"])
    with pytest.raises(PathConflict) as caught:
        bring(below, "c", x=["same", "other"])
    assert (caught.value.first, caught.value.second, caught.value.path) == ("b", "c", "x")


def test_the_last_who_brought_a_path_is_named(below):
    """After an overlay, its item is the one to agree with."""
    bring(below, "a", x="1")
    bring(below, "b", overlay=True, x="2")
    with pytest.raises(PathConflict, match="b and c both bring x, with different content"):
        bring(below, "c", x="1")
    with pytest.raises(PathConflict, match="c and d both bring x, one as a file and one as a"):
        bring(below, "d", overlay=True, x_y="1")


def test_links_do_not_hide_a_conflict(below):
    """A path through a link is the real one."""
    bring(below, "a", lib_x="1", links=[("lib64", "lib")])
    with pytest.raises(PathConflict) as caught:
        bring(below, "b", lib64_x="2")
    assert caught.value.path == "lib/x"


def test_a_hard_link_is_compared(below):
    """A hard link in place of another item's file brings the content of its target."""
    bring(below, "a", x="1", y="1")
    below.arrivals.begin("b", overlay=False)
    os.close(below.create_file(("z",), 0o644))
    below.create_hard_link(("z",), ("x",))
    with pytest.raises(PathConflict, match="bring x, with different content"):
        below.arrivals.check(below.content)


def test_what_no_item_brought_is_replaced(below, tmp_path):
    """A file that was there before belongs to nobody."""
    (tmp_path / "root/x").write_text("before")
    bring(below, "a", x="1")
    assert (tmp_path / "root/x").read_text() == "1"


def test_a_file_and_a_folder(below):
    """Both ways, the other item is named; within one item it stays an error of that item."""
    bring(below, "a", d_x="1", f="1")
    with pytest.raises(PathConflict, match="a and b both bring d, one as a file and one as a"):
        bring(below, "b", d="2")
    with pytest.raises(PathConflict, match="a and b both bring f, one as a file and one as a"):
        bring(below, "b", f_x="2")
    with pytest.raises(IsADirectoryError):
        bring(below, "a", d="2")
    with pytest.raises(NotADirectoryError):
        bring(below, "a", f_x="2")
