"""Which releases a program needs on every platform, from what an index says."""

import pytest

from envy.errors import FetchError
from envy.transport.hash_list import make_hash_list
from envy.transport.index_page import ReleaseFile
from envy.transport.wheel_metadata import WheelMetadata

ALL = "-py3-none-any"


def listed(name, version, tag=ALL, *, python="", digest=("sha256", "aa" * 32), yanked=None):
    """Return a wheel as an index lists it."""
    return ReleaseFile(
        name=f"{name}-{version}{tag}.whl",
        url="",
        page="",
        digest=digest,
        yanked=yanked,
        requires_python=python,
    )


class Shelf:
    """An index that is given its files, and the requirements of releases."""

    def __init__(self, files, requires=None):
        self._files = files
        self._requires = requires or {}

    def files(self, name):
        return [file for file in self._files if file.name.startswith(f"{name}-")]

    def metadata(self, name, version, wheel):
        assert wheel.name.startswith(f"{name}-{version}-")
        return WheelMetadata(
            name=name, version=version, requires=tuple(self._requires.get((name, version), ()))
        )


def made(requires, files, more=None, preferred=None, root=ALL):
    """Return the list for a program that requires something."""
    program = WheelMetadata(
        name="prog", version="1", requires=tuple(requires), requires_python=">=3.11"
    )
    wheels = [listed("prog", "1", root)]
    return make_hash_list(program, wheels, Shelf(files, more), (preferred or {}).get)


def rows(found):
    """Return the lines of a list, without digests and without the program itself."""
    texts = [f"{one.name}=={one.version}; {one.marker}" for one in found.releases]
    return [text.removesuffix("; ") for text in texts if not text.startswith("prog==")]


def test_the_newest_release_that_fits_is_taken():
    """Pre-releases, withdrawn ones, and those for a newer Python only, come last or not at all."""
    files = [
        listed("a", "1.0"),
        listed("a", "1.5"),
        listed("a", "1.6", python=">=3.13"),
        listed("a", "1.7rc1"),
        listed("a", "1.8", yanked=""),
        listed("a", "2.0"),
    ]
    assert rows(made(["A<2"], files)) == ["a==1.5"]
    assert rows(made(["a<2"], files, preferred={"a": "1.0"})) == ["a==1.0"]
    assert rows(made(["a<2"], files, preferred={"a": "2.0"})) == ["a==1.5"]
    assert rows(made(["a==1.6"], files)) == ["a==1.6"]
    assert rows(made(["a==1.7rc1"], files)) == ["a==1.7rc1"]


def test_a_condition_comes_with_the_requirement():
    """What is needed somewhere has its marker; what is needed nowhere is left out."""
    requires = [
        'a; python_version < "3.13"',
        'b; sys_platform == "win32"',
        'c; extra == "x"',
        'd; python_version >= "3.8"',
        "e",
    ]
    more = {("a", "1"): ['f; sys_platform == "linux"', "d"], ("e", "1"): ['f; python_version<"3"']}
    files = [listed(name, "1") for name in "abcdef"]
    assert rows(made(requires, files, more)) == [
        'a==1; python_version < "3.13"',
        "d==1",
        "e==1",
        'f==1; (python_version < "3.13") and (sys_platform == "linux")',
    ]
    requires = ['a; sys_platform == "linux"', 'a; python_version < "3.12"']
    assert rows(made(requires, files, {})) == [
        'a==1; (sys_platform == "linux") or (python_version < "3.12")'
    ]


@pytest.mark.parametrize("marker", ["os_name ~= 'x'", "sys_platform ~= '1.0'"])
def test_a_condition_that_compares_nothing(marker):
    """A condition that cannot be evaluated is an error that names who has it."""
    with pytest.raises(FetchError, match=r"prog requires a under a condition that is not valid: "):
        made([f"a; {marker}"], [listed("a", "1")])


def test_extras_and_circles():
    """An extra brings its requirements, also if it is named later; a circle ends."""
    more = {
        ("a", "1"): ["b", 'c; extra == "more"'],
        ("b", "1"): ["a[more]"],
        ("c", "1"): ["a"],
    }
    files = [listed(name, "1") for name in "abc"]
    assert rows(made(["a"], files, more)) == ["a==1", "b==1", "c==1"]


def test_a_later_requirement_narrows_an_earlier_choice():
    """All requirements count, whichever is met first; what no release satisfies is an error."""
    files = [listed("a", "1"), listed("a", "2"), listed("b", "1")]
    assert rows(made(["a", "b"], files, {("b", "1"): ["a<2"]})) == ["a==1", "b==1"]
    with pytest.raises(FetchError) as error:
        made(["a>1", "b"], files, {("b", "1"): ["a<2"]})
    assert "no release of a >1 (prog) and <2 (b) that has a wheel" in str(error.value)
    assert "its newest is 2" in error.value.hint
    with pytest.raises(FetchError, match="no release of z"):
        made(["z"], files)


def test_a_python_counts_if_some_platform_has_all_its_wheels():
    """A release with no wheel for a Python leaves that out; pip would build it from source."""
    linux = "manylinux_2_17_x86_64"
    files = [listed("a", "1", f"-cp3{minor}-cp3{minor}-{linux}") for minor in (11, 12, 14)]
    assert made(["a"], files).pythons == ("3.14", "3.12", "3.11")
    files.append(listed("b", "1", "-cp312-abi3-macosx_11_0_arm64"))
    with pytest.raises(FetchError, match="for which each has a wheel: prog 1, a 1, b 1"):
        made(["a", "b"], files)
    files.append(listed("b", "1", f"-cp312-abi3-{linux}"))
    assert made(["a", "b"], files).pythons == ("3.14", "3.12")
    assert made(['a; python_version < "3.13"'], files).pythons[-3:] == ("3.13", "3.12", "3.11")


def test_every_wheel_needs_a_digest_that_pip_takes():
    """All wheels of a release are listed, each once."""
    files = [listed("a", "1", digest=("sha256", "bb" * 32)), listed("a", "1", "-py3-none-win32")]
    [found] = [one for one in made(["a"], files).releases if one.name == "a"]
    assert found.digests == ("sha256:" + "aa" * 32, "sha256:" + "bb" * 32)
    for digest in (None, ("md5", "aa" * 16), ("sha256", "aa")):
        with pytest.raises(FetchError, match="names no SHA-256 digest of a-1-py3-none-any"):
            made(["a"], [listed("a", "1", digest=digest)])
