"""Making a lock: which platforms it has, and what stays of the lock before."""

from types import SimpleNamespace

import pytest

from envy.engine.lock_maker import differences, make_lock, wanted_platforms
from envy.engine.lock_use import LockMode, LockUse
from envy.errors import DeclarationError, EnvyError
from envy.host.named_platforms import USUAL_PLATFORMS
from envy.locking.lock import EVERYWHERE, LockEntry, LockError, ProjectLock, combined
from envy.transport.context import NoAnswer, Offline

TOPIC = ("local.a@r1", "recipe", "a.lua")


def manifest(*platforms):
    """Return what is needed of a manifest."""
    return SimpleNamespace(platforms=platforms)


def test_the_usual_platforms_and_those_that_were_added():
    """Without `platforms`, the usual ones; what the lock has stays, and has to resolve."""
    assert wanted_platforms(manifest(), None, ()) == (list(USUAL_PLATFORMS), frozenset())
    old = ProjectLock(("linux-x86_64-musl",))
    wanted, required = wanted_platforms(manifest(), old, ())
    assert set(wanted) == {*USUAL_PLATFORMS, "linux-x86_64-musl"}
    assert required == {"linux-x86_64-musl"}


def test_named_platforms():
    """Platforms of the manifest or the command have to resolve; the manifest has the last word."""
    both = ("darwin-arm64", "linux-x86_64")
    assert wanted_platforms(manifest(*both), None, ()) == (both, frozenset(both))
    assert wanted_platforms(manifest(*both), None, ["darwin-arm64"])[0] == ["darwin-arm64"]
    with pytest.raises(LockError, match=r"has no linux-arm64: add it there, then run `envy lock`"):
        wanted_platforms(manifest(*both), None, ["linux-arm64"])
    with pytest.raises(DeclarationError, match="'linux' is not a platform"):
        wanted_platforms(manifest(), None, ["linux"])


def test_a_platform_that_does_not_resolve():
    """It is left out with the reason, unless it has to resolve, or no other does."""

    def find_values(platform, _view):
        if platform.os != "linux":
            raise EnvyError(f"not for {platform.tag}\nmore", hint="h")
        return {TOPIC: ("-",)}

    made = make_lock(manifest(), LockUse(LockMode.REMADE), find_values)
    assert made.lock.platforms == ("linux-arm64", "linux-x86_64")
    assert made.lock.entries == (LockEntry(*TOPIC, EVERYWHERE, ("-",)),)
    assert made.left_out["windows-x86_64"] == "not for windows-x86_64"
    use = LockUse(LockMode.REMADE, ProjectLock(("windows-x86_64",)))
    with pytest.raises(LockError, match=r"not resolve on windows-x86_64: not for windows-x86_64"):
        make_lock(manifest(), use, find_values)
    with pytest.raises(LockError, match="darwin-arm64"):
        make_lock(manifest("darwin-arm64"), LockUse(LockMode.REMADE), find_values)


@pytest.mark.parametrize("kind", [NoAnswer, Offline])
def test_a_server_that_does_not_answer(kind):
    """A platform is not left out because of a server that may answer, or be asked, another time."""

    def find_values(platform, _view):
        if platform.os == "windows":
            raise kind("h could not be reached", uri="u")
        return {TOPIC: ("-",)}

    with pytest.raises(LockError, match=r"on windows-x86_64: h could not be reached") as caught:
        make_lock(manifest(), LockUse(LockMode.REMADE), find_values)
    assert caught.value.hint == ""


def test_a_new_platform_takes_what_is_true_everywhere():
    """What the other platforms have in common is known on a new one, but not choices or wheels."""
    facts = {
        TOPIC: ("sha256:" + "0" * 64,),
        ("local.a@r1", "choice", "b"): ("local.b@r1",),
        ("local.a@r1", "download", "pypi:x==1"): ("x-1-py3-none-any.whl", "sha256:0", "-"),
        ("local.b@r1", "recipe", "b.lua"): ("-",),
    }
    old = combined({"linux-x86_64": facts, "linux-arm64": facts})
    seen = {}

    def find_values(platform, view):
        seen[platform.tag] = view.facts
        return facts

    use = LockUse(LockMode.REMADE, old, updated=("local.b@r1",))
    made = make_lock(manifest(), use, find_values, named=["darwin-arm64"])
    assert seen == {"darwin-arm64": {TOPIC: facts[TOPIC]}}
    assert made.lock == combined(dict.fromkeys(["darwin-arm64", *old.platforms], facts))


def test_differences():
    """Platforms first; then what is removed, above what takes its place."""
    old = ProjectLock(("darwin-arm64",), (LockEntry("a.a@1", "recipe", "x", "*", ("z",)),))
    new = ProjectLock(("linux-arm64",), (LockEntry("a.a@1", "recipe", "x", "*", ("a",)),))
    assert differences(old, new) == [
        "- platform darwin-arm64",
        "+ platform linux-arm64",
        "- a.a@1 recipe * x z",
        "+ a.a@1 recipe * x a",
    ]
    assert differences(None, ProjectLock()) == differences(new, new) == []
