"""What the lock calls packages and sources."""

from pathlib import Path

import pytest

from envy.declarations.key import RecipeKey
from envy.declarations.sources import parse_source_item
from envy.locking.lock import LockedFile, LockView
from envy.locking.subjects import locked_commit, locked_file, package_of, subject_of
from envy.masking import forget_all, remember

DIGEST, COMMIT = "sha256:" + "0" * 64, "1" * 40
KEY = RecipeKey.of("local.a@r1", {})


def item(value):
    """Return the source that a recipe writes like this."""
    return parse_source_item(value, origin=None, base_dir=Path("/project/recipes"))


@pytest.fixture(autouse=True)
def no_secrets():
    """Forget what a test has remembered."""
    yield
    forget_all()


@pytest.mark.parametrize(
    ("source", "subject"),
    [
        ("https://me:secret@h/x.tgz?token=t&v=1", "https://h/x.tgz?token=***&v=1"),
        ({"source": "https://t0ken@h/x.git", "ref": "main"}, "https://h/x.git#main"),
        ({"source": "../x.git", "subdir": "a"}, "../x.git"),
        ("pypi:tool==1.0", "pypi:tool==1.0"),
        ({"source": "pypi:tool==1.0", "kind": "sdist"}, "pypi:tool==1.0#sdist"),
        ({"source": "pypi:tool==1.0", "python": "3.12"}, "pypi:tool==1.0#python=3.12"),
        ("npm:@s/left@1.0.0", "npm:@s/left@1.0.0"),
    ],
)
def test_subjects(source, subject):
    """A source is called the same on each machine, and by everyone who may read it."""
    assert subject_of(item(source)) == subject


def test_a_package_with_a_secret():
    """A secret in the options of a package is masked in its name, which is still a key."""
    key = RecipeKey.of("local.a@r1", {"token": "planted-secret", "url": "https://u:p4ss@h/"})
    remember(["planted-secret"])
    assert package_of(key) == 'local.a@r1{token="***",url="https://h/"}'
    assert RecipeKey.parse(package_of(key)).identity == "local.a@r1"


def test_what_the_lock_says():
    """A file is found by its source, that of a recipe without a name; a repository by its ref."""
    view = LockView(
        {
            ("local.a@r1", "download", "https://h/x"): ("x", DIGEST, "-"),
            ("local.a@r1", "recipe", "https://h/r.lua"): (DIGEST,),
            ("local.a@r1", "commit", "https://h/x.git#main"): (COMMIT,),
        }
    )
    assert locked_file(view, KEY, item("https://h/x")) == LockedFile("local.a@r1", "x", DIGEST)
    assert locked_file(view, KEY, item("https://h/r.lua")) == LockedFile("local.a@r1", "", DIGEST)
    assert locked_file(view, KEY, item("https://h/y")) is None
    assert locked_file(view, RecipeKey.of("local.b@r1", {}), item("https://h/x")) is None
    git = {"source": "https://h/x.git", "ref": "main"}
    assert locked_commit(view, KEY, item(git)) == COMMIT
    assert locked_commit(view, KEY, item({**git, "ref": "v1"})) == ""
