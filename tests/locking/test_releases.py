"""The releases of Python requirements, between a lock and uv."""

import pytest

from envy.declarations.key import RecipeKey
from envy.declarations.requirements import Requirements
from envy.locking.lock import LockView, combined
from envy.locking.releases import entries_of, locked_pin, locked_releases, locked_text, project_of

KEY = RecipeKey.parse("local.env@r1")
WANTED = Requirements(("six", "numpy>=2"), "3.12")
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
RELEASES = {
    "pypi:numpy; python_full_version < '3.13'": ("2.0", "n.whl", A, "-", "n.tgz", B, "8"),
    "pypi:numpy; python_full_version >= '3.13'": ("3.0", "m.whl", A, "5"),
    "pypi:six": ("1.17.0", "s.whl", B, "-"),
}


def view(releases, wanted=WANTED):
    return LockView(dict(entries_of("local.env@r1", wanted, releases)), "linux-x86_64")


def test_a_requirements_file_of_the_lock():
    """uv gets each release with the digests of all its files, and for which machines it is."""
    assert locked_text(view(RELEASES), KEY, WANTED) == (
        f"numpy==2.0 ; python_full_version < '3.13' --hash={A} --hash={B}\n"
        f"numpy==3.0 ; python_full_version >= '3.13' --hash={A}\n"
        f"six==1.17.0 --hash={B}\n"
    )
    assert list(map(project_of, RELEASES)) == ["numpy", "numpy", "six"]


def test_releases_belong_to_their_requirements():
    """Other lines, another Python and a release less are not what the lock is about."""
    locked = view(RELEASES)
    assert locked_releases(locked, "local.env@r1", WANTED) == RELEASES
    others = [Requirements(("six",), "3.12"), Requirements(WANTED.lines), Requirements()]
    others.append(Requirements(("six --hash=sha256:0",), "3.12"))
    assert [locked_text(locked, KEY, other) for other in [*others, None]] == [None] * 5
    assert locked_pin(LockView(), KEY, WANTED) == ()
    facts = {topic: row for topic, row in locked.facts.items() if topic[2] != "pypi:six"}
    assert locked_text(LockView(facts), KEY, WANTED) is None
    assert locked_text(locked, RecipeKey.parse("local.other@r1"), WANTED) is None


def test_a_release_is_part_of_the_key():
    """Each change of what is locked is another ingredient of the key."""
    newer = {**RELEASES, "pypi:six": ("1.18.0", "s.whl", B, "-")}
    pins = [locked_pin(view(each), KEY, WANTED) for each in (RELEASES, newer)]
    assert pins[0] != pins[1]
    assert all(pin[0].startswith("requirements sha256:") for pin in pins)


@pytest.mark.parametrize("digest", [A, B])
def test_one_entry_for_the_platforms_that_need_it(digest):
    """Platforms without the package agree; platforms with other releases do not."""
    one = view(RELEASES).facts
    other = view({**RELEASES, "pypi:six": ("1.17.0", "s.whl", digest, "-")}).facts
    lock = combined({"darwin-arm64": one, "linux-x86_64": other, "windows-x86_64": {}})
    [numpy, *_] = lock.entries
    assert numpy.platform == "*"
    six = [entry.platform for entry in lock.entries if entry.subject == "pypi:six"]
    assert six == (["*"] if digest == B else ["darwin-arm64", "linux-x86_64"])
