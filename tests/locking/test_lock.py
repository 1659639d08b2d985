"""The lock as data: facts of several platforms, and what they say about one."""

from hypothesis import given
from hypothesis import strategies as st

from envy.host.named_platforms import USUAL_PLATFORMS
from envy.locking.lock import (
    EVERYWHERE,
    NO_LOCK,
    UNLOCKED,
    LockedFile,
    LockEntry,
    ProjectLock,
    combined,
    view_of,
)

FILE = ("x.tgz", "sha256:" + "0" * 64, "12")
VALUES = st.lists(st.text(max_size=5), max_size=3).map(tuple)
TOPICS = st.tuples(*[st.sampled_from(["a.a@1", "b.b@1"]), st.sampled_from("kl"), st.text()])
FACTS = st.dictionaries(
    st.sampled_from(USUAL_PLATFORMS), st.dictionaries(TOPICS, VALUES, max_size=5), min_size=1
)


@given(FACTS)
def test_a_view_has_what_was_found_on_its_platform(facts):
    """Whatever the platforms have in common, each finds its own facts again."""
    lock = combined(facts)
    assert list(lock.entries) == sorted(lock.entries)
    for name, found in facts.items():
        assert view_of(lock, name).facts == found


def test_what_is_equal_everywhere_is_one_entry():
    """One entry for all platforms if all have the same values, else one for each that has any."""
    same, other = {("a.a@1", "recipe", "x"): ("-",)}, {("a.a@1", "recipe", "y"): ("-",)}
    lock = combined({"linux-arm64": {**same, **other}, "linux-x86_64": same})
    assert lock == ProjectLock(
        ("linux-arm64", "linux-x86_64"),
        (
            LockEntry("a.a@1", "recipe", "x", EVERYWHERE, ("-",)),
            LockEntry("a.a@1", "recipe", "y", "linux-arm64", ("-",)),
        ),
    )


def test_lookups():
    """A view answers with pins, commits and files; without an entry, with nothing."""
    digest, commit = "sha256:" + "1" * 64, "2" * 40
    facts = {
        ("a.a@1", "recipe", "u"): (digest,),
        ("b.b@1", "recipe", "g#main"): (f"commit:{commit}",),
        ("b.b@1", "download", "u"): FILE,
        ("b.b@1", "commit", "h#main"): (commit,),
        ("c.c@1", "recipe", "c.lua"): ("-",),
        ("c.c@1", UNLOCKED, "its fetch acts"): (),
    }
    view = view_of(combined({"linux-arm64": facts}), "linux-arm64")
    assert view.pin("a.a@1", "u") == digest
    assert view.pin("a.a@1", "other") == view.pin("c.c@1", "c.lua") == ""
    assert view.commit("b.b@1", "g#main") == view.commit("b.b@1", "h#main") == commit
    assert view.file("b.b@1", "u") == LockedFile("b.b@1", *FILE)
    assert view.file("a.a@1", "u") is None
    assert view.unlocked == {"c.c@1"}


def test_a_view_of_another_platform_is_empty():
    """A lock says nothing about a platform that it does not have, or packages that are left out."""
    lock = combined({"linux-arm64": {("a.a@1", "recipe", "u"): ("-",)}})
    view = view_of(lock, "darwin-arm64")
    assert (view.facts, view.exists, view.covers) == ({}, True, False)
    assert view_of(lock, "linux-arm64", without=["a.a@1"]).facts == {}
    assert not view_of(None, "linux-arm64").exists
    assert not NO_LOCK.covers
