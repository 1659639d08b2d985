"""Paths below a root are looked up by descriptors: links inside are followed, others refused."""

import os
import time

import pytest

from envy.content.below_root import BelowRoot, open_below, parts_of
from envy.content.brought import Brought, LeadsOutside


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "victim").write_text("precious")
    return folder


@pytest.fixture
def below(tmp_path):
    with open_below(tmp_path / "root") as opened:
        yield opened


def write(below, name, text="new"):
    descriptor = below.create_file(parts_of(name), 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def link(below, name, to, *, judged=True, item="a.tar"):
    below.create_link(parts_of(name), Brought(item, name, to, judged))


def test_links_inside_are_followed_on_the_way(below, tmp_path):
    """A file below a link is written to the folder that the link leads to."""
    link(below, "lib64", "usr/lib")
    write(below, "lib64/a")
    assert (tmp_path / "root/usr/lib/a").read_text() == "new"


def test_absolute_links_into_the_root_are_followed(below, tmp_path):
    """An absolute link that leads into the root stays inside."""
    link(below, "l", f"{tmp_path}/root/d", judged=False)
    write(below, "l/a")
    assert (tmp_path / "root/d/a").is_file()


@pytest.mark.parametrize("to", ["../outside", "d/../../outside", "{tmp}/outside", ".."])
def test_links_outside_are_refused_on_the_way(below, tmp_path, outside, to):
    """A path through a link that leaves the root is refused; the error names the link's item."""
    link(below, "l", to.format(tmp=tmp_path), judged=False, item="tool")
    with pytest.raises(LeadsOutside, match=r"l → .*, brought by tool"):
        write(below, "l/victim")
    assert [path.name for path in outside.iterdir()] == ["victim"]


def test_the_last_component_is_replaced(below, tmp_path):
    """A link that has the name of a new file is replaced, not followed."""
    write(below, "target", "old")
    link(below, "l", "target")
    write(below, "l")
    assert (tmp_path / "root/target").read_text() == "old"
    assert not (tmp_path / "root/l").is_symlink()


def test_a_hard_link_keeps_its_content(below, tmp_path):
    """An existing file is replaced by a new one and never written to."""
    write(below, "a", "old")
    assert below.create_hard_link(("a",), ("b",))
    write(below, "a")
    assert (tmp_path / "root/b").read_text() == "old"


def test_links_are_judged_together(below, tmp_path):
    """A link that leads outside because of a later link is found, named and removed."""
    link(below, "data", "x/y/../../victim", item="a.tar")
    link(below, "x/y", "..", item="b.tar")
    with pytest.raises(LeadsOutside, match=r"through x/y → \.\., brought by b\.tar") as caught:
        below.judge()
    assert caught.value.brought.item == "a.tar"
    assert not (tmp_path / "root/data").is_symlink()


def test_a_link_that_was_replaced_is_not_judged(below, tmp_path):
    """Whatever a script has put in the place of a link is not judged."""
    link(below, "l", "inside")
    (tmp_path / "root/l").unlink()
    (tmp_path / "root/l").symlink_to(tmp_path)
    below.judge()
    assert below.links == {}


def test_loops_lead_nowhere(below):
    """A loop of links is allowed as content; nothing can be written through it."""
    link(below, "a", "b")
    link(below, "b", "a")
    below.judge()
    with pytest.raises(OSError, match="Too many levels"):
        write(below, "a/x")


def test_a_chain_of_links_is_judged_in_linear_time(below):
    """A look-up follows at most 40 links, so a chain of twenty thousand is judged quickly."""
    started = time.process_time()
    for number in range(20_000):
        # Backwards, so that each link leads inside when it is created.
        link(below, f"l{number}", f"l{number + 1}")
    with pytest.raises(LeadsOutside, match="more than 40 links"):
        below.judge()
    assert time.process_time() - started < 10


def test_few_folders_are_open_at_once(below):
    """The number of open descriptors is limited, however many folders there are."""
    before = os.dup(0)
    for number in range(200):
        write(below, f"d{number}/e/f")
    write(below, "/".join(["deep"] * 100) + "/f")
    # The lowest free number grows with the number of open files.
    after = os.dup(0)
    for descriptor in (before, after):
        os.close(descriptor)
    assert after - before < 64


@pytest.mark.parametrize(
    ("name", "error"),
    [("file/x", NotADirectoryError), ("folder", IsADirectoryError), ("n" * 5000, OSError)],
)
def test_what_cannot_be_created(below, name, error):
    """A file in place of a folder, a folder in place of a file, or a long name is an error."""
    write(below, "file")
    below.real_folder(("folder",))
    with pytest.raises(error):
        write(below, name)


def test_modes_are_not_set_through_links(below, outside):
    """The mode of a link's target does not change."""
    link(below, "l", str(outside / "victim"), judged=False)
    before = (outside / "victim").stat().st_mode
    below.set_mode(("l",), 0o777)
    assert (outside / "victim").stat().st_mode == before


def test_a_missing_folder_is_not_created_to_look(below, tmp_path):
    """Looking something up creates nothing."""
    assert below.status(("a", "b")) is None
    assert list((tmp_path / "root").iterdir()) == []


def test_a_root_that_is_a_link(tmp_path):
    """The root may be named by a link: its own path is the author's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "name").symlink_to("real")
    with BelowRoot(tmp_path / "name") as below:
        write(below, "a")
    assert (tmp_path / "real/a").is_file()
