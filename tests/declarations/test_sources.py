"""The forms a source may take."""

from pathlib import Path

import pytest

from envy.declarations.sources import (
    Scheme,
    SourceItem,
    file_name,
    git_address,
    local_path,
    location,
    parse_source_items,
    scheme_of,
)
from envy.errors import DeclarationError, SourceLocation

BASE = Path("/project/recipes")
ORIGIN = SourceLocation(Path("r.lua"), 7)
DIGEST = "a" * 64


def parse(value):
    return parse_source_items(value, origin=ORIGIN, base_dir=BASE)


def item(source, **fields):
    return SourceItem(source=source, base_dir=BASE, **fields)


@pytest.mark.parametrize(
    ("source", "scheme"),
    [
        ("gn.lua", Scheme.LOCAL),
        ("../a:b.lua", Scheme.LOCAL),
        ("/abs/gn.lua", Scheme.LOCAL),
        ("C:\\gn.lua", Scheme.LOCAL),
        ("file:///x/gn.lua", Scheme.FILE),
        ("http://host/x.tgz", Scheme.HTTP),
        ("HTTPS://host/x.tgz", Scheme.HTTP),
        ("https://host/x.git", Scheme.GIT),
        ("https://host/x.git/", Scheme.GIT),
        ("file:///x.git", Scheme.GIT),
        ("../x.git", Scheme.GIT),
        ("git@host.org:group/x", Scheme.GIT),
        ("git://host/x", Scheme.GIT),
        ("git+https://host/x", Scheme.GIT),
        ("git+ssh://git@host/x", Scheme.GIT),
        ("git+file:///x", Scheme.GIT),
        ("git:https://host/x", Scheme.GIT),
        ("ssh://git@host/x", Scheme.GIT),
        ("pypi:ninja==1.11.1", Scheme.PYPI),
        ("npm:@scope/x@1.0.0", Scheme.NPM),
    ],
)
def test_scheme(source, scheme):
    """The scheme depends only on the text."""
    assert scheme_of(source) is scheme


@pytest.mark.parametrize("source", ["ftp://host/x", "gs://bucket/x", "htps://host/x", "foo:bar"])
def test_unknown_scheme_lists_the_supported_ones(source):
    """The hint lists the supported schemes."""
    with pytest.raises(DeclarationError) as caught:
        parse(source)
    assert str(caught.value).startswith("r.lua:7: envy does not support")
    assert "s3:, oci:, pypi:, npm:" in str(caught.value)


def test_string_is_a_source():
    """A string is the shortest form of a source."""
    assert parse("gn.tar.gz") == (item("gn.tar.gz"),)


def test_table_has_all_fields():
    """Every field of a table is read."""
    fields = {
        "source": "https://host/x.tgz",
        "sha256": DIGEST.upper(),
        "blake3": "b" * 64,
        "sha512": "c" * 128,
        "dest": "y.tgz",
        "executable": True,
        "extract": False,
        "strip": 1,
        "subdir": "a/b",
        "into": "third_party",
        "overlay": True,
    }
    (parsed,) = parse(fields)
    assert parsed == SourceItem(base_dir=BASE, **{**fields, "sha256": DIGEST})
    assert parsed.origin == ORIGIN


def test_array_mixes_both_forms():
    """An array may have strings and tables."""
    sources = parse(["a.tgz", {"source": "b.git", "ref": "v1", "submodules": True}])
    assert sources == (item("a.tgz"), item("b.git", ref="v1", submodules=True))


def test_fields_of_registries():
    """`python` and `kind` choose among the files of a release."""
    (parsed,) = parse({"source": "pypi:x==1.0", "python": "3.12", "kind": "sdist"})
    assert (parsed.python, parsed.kind) == ("3.12", "sdist")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "not nil"),
        ("", "not an empty string"),
        (3, "not a number"),
        ({}, "not an empty table"),
        ({"sha256": DIGEST}, "needs the field `source`"),
        ({"sorce": "x"}, 'did you mean "source"?'),
        ({1: "x", "strip": 1}, "mixes named fields"),
        ({"source": "x.tgz", "mirror": ["y"]}, 'did you mean "mirrors"?'),
        ({"source": "x.tgz", "mirrors": ["y"]}, '`mirrors` names "y", which is not of the form'),
        ({"source": "x.tgz", "mirrors": ["http://h/y"]}, "`mirrors` is for http: and https:"),
        ({"source": "http://h/x", "mirrors": "http://i/x"}, "an array of non-empty strings"),
        ({"source": "http://h/x", "mirrors": ["ftp://i/x"]}, '`mirrors` names "ftp://i/x"'),
        ({"source": "http://h/x", "mirrors": ["http://i:x/x"]}, "not of the form https://HOST"),
        ({"source": ["x"]}, "`source` must be a non-empty string, not a table"),
        ({"source": "x.tgz", "sha256": "abc"}, "64 hexadecimal digits, not 3"),
        ({"source": "x.tgz", "sha256": 5}, "`sha256` must be"),
        ({"source": "x.tgz", "sha512": DIGEST}, "`sha512` must be 128 hexadecimal digits, not 64"),
        ({"source": "x.git", "sha512": "c" * 128}, "`sha512` is for files"),
        ({"source": "x.tgz", "strip": -1}, "`strip` must be a whole number"),
        ({"source": "x.tgz", "strip": True}, "`strip` must be a whole number"),
        ({"source": "x.tgz", "strip": 1.0}, "`strip` must be a whole number"),
        ({"source": "x.tgz", "executable": "yes"}, "`executable` must be true or false"),
        ({"source": "x.tgz", "dest": "../x"}, "`dest` must be a relative path"),
        ({"source": "x.tgz", "into": "/x"}, "`into` must be a relative path"),
        ({"source": "x.tgz", "subdir": "a/../../b"}, "`subdir` must be a relative path"),
        ({"source": "x.tgz", "subdir": "C:\\b"}, "`subdir` must be a relative path"),
        ({"source": "x.tgz", "executable": ["../x"]}, '`executable` has "../x"'),
        ({"source": "x.git", "only": ["bin"]}, "`only` is for archives and for folders"),
        ({"source": "x.tgz", "ref": "v1"}, "`ref` is for git sources"),
        ({"source": "x.git", "sha256": DIGEST}, "pinned by the commit in `ref`"),
        ({"source": "x.tgz", "python": "3.12"}, "`python` is for pypi: sources"),
        ({"source": "pypi:x==1", "python": 3.12}, 'python = "3.12"'),
        ({"source": "pypi:x==1", "kind": "egg"}, '"wheel" or "sdist", not "egg"'),
        ("pypi:ninja", "pypi:NAME==VERSION"),
        ("pypi:ninja>=1", "pypi:NAME==VERSION"),
        ("npm:esbuild", "npm:NAME@VERSION"),
        ("https:///x", "https://HOST/PATH"),
        (["https://host/"], "does not end in a file name"),
        ("https://host", "does not end in a file name"),
        ("https://host/x%2f..", "does not end in a file name"),
        (["a/x.tgz", "b/x.tgz"], 'two sources have the file name "x.tgz"'),
        (["a/x.tgz", {"source": "y", "dest": "x.tgz"}], 'two sources have the file name "x.tgz"'),
        ({"source": "a\0b"}, "NUL"),
    ],
)
def test_invalid_source_is_an_error(value, part):
    """Each error says what is wrong, and where."""
    with pytest.raises(DeclarationError) as caught:
        parse(value)
    assert part in str(caught.value)
    assert str(caught.value).startswith("r.lua:7: ")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://host/a/b%20c.tgz?x=/y#z", "b c.tgz"),
        ("https://host/a/b/", "b"),
        ("dir/file.lua", "file.lua"),
        ("file:///x/y.zip", "y.zip"),
        ("https://host/a/tool.git", "tool"),
        ("git@host:tool.git", "tool"),
        ("pypi:x==1", ""),
        ("npm:x@1", ""),
    ],
)
def test_file_name(source, name):
    """The name is the last part of the address; a registry decides its names itself."""
    assert file_name(item(source)) == name


def test_dest_renames():
    """`dest` gives files with the same name different names."""
    sources = parse(["a/x.tgz", {"source": "b/x.tgz", "dest": "y.tgz"}])
    assert [file_name(source) for source in sources] == ["x.tgz", "y.tgz"]


def test_two_releases_of_a_registry_have_no_name_yet():
    """Unknown names cannot conflict."""
    assert len(parse(["pypi:x==1", "pypi:y==1"])) == 2


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("gn.lua", "/project/recipes/gn.lua"),
        ("../x/./gn.lua", "/project/x/gn.lua"),
        ("/abs/gn.lua", "/abs/gn.lua"),
        ("file:///abs/a%20b", "/abs/a b"),
        ("file://localhost/abs", "/abs"),
        ("file:rel", "/project/recipes/rel"),
        ("100%41.lua", "/project/recipes/100%41.lua"),
    ],
)
def test_local_path(source, path):
    """A path is relative to the file that names it; only URIs are decoded."""
    assert local_path(item(source)) == Path(path)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("git+https://host/x", "https://host/x"),
        ("git:https://host/x", "https://host/x"),
        ("git://host/x", "git://host/x"),
        ("git+ssh://git@host/x", "ssh://git@host/x"),
        ("git@host:x.git", "git@host:x.git"),
        ("../x.git", "/project/x.git"),
        ("git+file:///x", "file:///x"),
        ("git:../x", "/project/x"),
        ("git:/y/x", "/y/x"),
    ],
)
def test_git_address(source, address):
    """The address is one that the git program understands."""
    assert git_address(item(source)) == address


def test_one_file_has_one_location():
    """One file is one source, however its path is written."""
    other = SourceItem(source="../recipes/gn.lua", base_dir=BASE)
    assert location(item("gn.lua")) == location(other)
    assert location(item("gn.lua")) == location(item("file:///project/recipes/gn.lua"))


def test_pins_distinguish_sources():
    """Two commits of one repository are two sources."""
    assert location(item("x.git", ref="v1")) != location(item("x.git", ref="v2"))
