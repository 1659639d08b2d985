"""Paths of which a compiler has made pieces."""

from envy.cache.path_pieces import (
    cut_paths,
    has_other_pieces,
    has_pieces_only,
    may_have_pieces,
    pieces_of,
)
from envy.cache.places import FIXED, NEVER, find_places, places_in

OWN = "local.gn@r0/linux-x86_64-blake3-0123456789abcdef"
PREFIX = b"/some/root/assets/"
PATH = PREFIX + OWN.encode() + b"/asset"
ELF = b"\x7fELF\0"


def judged(data):
    return places_in("bin/gn", data, [PREFIX], own=OWN)


def test_each_split_leaves_a_piece():
    """However a path is split by words of eight bytes, one text is in one of them."""
    for start in range(8):
        words = [PATH[:start], *(PATH[at : at + 8] for at in range(start, len(PATH), 8))]
        assert any(piece in word for piece in pieces_of(OWN) for word in words)


def test_a_path_that_ends_elsewhere():
    """It is patched where it begins; a piece of its end says nothing more."""
    data = ELF + PATH[:-20] + b"mov" + PATH[-24:]
    assert find_places(data, [PREFIX]) == ({}, set())
    assert cut_paths(data, [PREFIX], OWN, {}) == {PREFIX: (len(ELF),)}
    places = judged(data)
    assert (places.how, places.at) == (FIXED, {PREFIX: (len(ELF),)})


def test_a_path_in_other_pieces():
    """A path whose beginning is not in one part cannot be patched."""
    data = ELF + b"mov".join(PATH[at : at + 8] for at in range(0, len(PATH), 8))
    assert judged(data).how == NEVER
    assert "in pieces" in judged(data).why
    assert judged(data + PATH).how == NEVER


DEP = "local.dep@r0/linux-x86_64-blake3-fedcba9876543210"
DEP_PATH = PREFIX + DEP.encode() + b"/asset/share/data"


def test_a_dependency_in_pieces():
    """Neither can the path of a dependency be patched in pieces; whole names are no pieces."""
    for start in range(8):
        words = [DEP_PATH[:start], *(DEP_PATH[at : at + 8] for at in range(start, 80, 8))]
        data = ELF + b"\x48\xb8".join(words)
        assert may_have_pieces(data)
        assert has_pieces_only(data, DEP)
        for whole in (b"", DEP_PATH):
            places = places_in("bin/gn", data + whole, [PREFIX], own=OWN, others=[DEP])
            assert "in pieces" in places.why
    relative = ELF + b"$ORIGIN/../../../../" + DEP.encode() + b"/asset/lib\0" + DEP_PATH
    assert not has_pieces_only(relative, DEP)
    assert places_in("bin/gn", relative, [PREFIX], own=OWN, others=[DEP]).how == FIXED


def test_whole_paths_alone():
    """The pieces of a whole path are no others."""
    data = ELF + PATH + b"\0" + PATH
    at, _others = find_places(data, [PREFIX])
    assert not has_other_pieces(data, OWN, at)
    assert judged(data).how == FIXED
