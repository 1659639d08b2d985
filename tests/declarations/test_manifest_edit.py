"""Proved edits of a manifest, in every layout."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from declarations.manifest_layouts import COMPUTED, LAYOUTS, after, before
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.declarations.manifest_edit import (
    PLATFORMS,
    FieldChange,
    Insertion,
    Removal,
    edited,
    open_manifest,
)
from envy.declarations.manifest_text import insert_element, remove_element, set_field
from envy.declarations.manifest_write import write_manifest
from envy.errors import EnvyError, LuaScriptError, ManifestError
from envy.lua.tokens import tokens_of

ZIG = "envy.zig@r1"
VERSION = ("options", "version")


@pytest.fixture
def opened(tmp_path):
    """Opens a manifest with the given text."""

    def open_text(text, platforms=PLATFORMS[-1:]):
        path = tmp_path / "envy.lua"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return open_manifest(path, {}, platforms)

    return open_text


@pytest.mark.parametrize("marked", LAYOUTS.values(), ids=LAYOUTS)
def test_an_entry_is_added_changed_and_removed_in_every_layout(opened, marked):
    """Each edit is what an author would write, and the last one restores every byte.

    Only the space in `{ }` is not kept.
    """
    added = edited(opened(before(marked)), Insertion(ZIG), {})
    assert added.text == after(marked)
    index = next(i for i, entry in enumerate(added.entries) if entry == ZIG)
    quote = "'" if "'envy.zig@r1'" in added.text else '"'
    wanted = '{ recipe = "envy.zig@r1", options = { version = "0.16.0" } }'.replace('"', quote)
    first = edited(added, FieldChange(index, {VERSION: "0.16.0"}), {})
    assert first.text == after(marked).replace(f"{quote}envy.zig@r1{quote}", wanted)
    second = edited(first, FieldChange(index, {VERSION: "0.17.1"}), {})
    assert second.text == first.text.replace("0.16.0", "0.17.1")
    removed = edited(second, Removal(index), {})
    assert removed.text.replace("{}", "{ }") == before(marked).replace("{}", "{ }")


@pytest.mark.parametrize("text", COMPUTED.values(), ids=COMPUTED)
def test_a_computed_list_is_not_edited(opened, text):
    """If more or less than the entry would change on some platform, the error shows the line."""
    with pytest.raises(ManifestError, match="envy cannot add this entry") as caught:
        edited(opened(text), Insertion({"recipe": ZIG, "options": {"version": "0.17.1"}}), {})
    assert caught.value.hint.endswith(
        '\n    { recipe = "envy.zig@r1", options = { version = "0.17.1" } },'
    )


def test_there_are_forty_layouts():
    """The table covers comments, strings of every kind, functions, separators and line ends."""
    assert len(LAYOUTS) >= 40


REMOVALS = {
    "first of a line": ('{ "a.a@r1"⟦⟧, "a.b@r1" }', 0, '{ "a.b@r1" }'),
    "middle of a line": ('{ "a.a@r1", "a.b@r1", "a.c@r1" }', 1, '{ "a.a@r1", "a.c@r1" }'),
    "last of a line": ('{ "a.a@r1", "a.b@r1", }', 1, '{ "a.a@r1", }'),
    "first line": ('{\n  "a.a@r1", -- gone, too\n  "a.b@r1"\n}', 0, '{\n  "a.b@r1"\n}'),
    "comment above": ('{\n  -- stays\n  "a.a@r1",\n}', 0, "{\n  -- stays\n}"),
    "two on a line": (
        '{\n  "a.a@r1", "a.b@r1",\n  "a.c@r1",\n}', 1, '{\n  "a.a@r1",\n  "a.c@r1",\n}',
    ),
    "first of two on a line": (
        '{\n  "a.a@r1", "a.b@r1",\n  "a.c@r1",\n}', 0, '{\n  "a.b@r1",\n  "a.c@r1",\n}',
    ),
    "over lines": ('{\n  "a.a@r1",\n  {\n    recipe = "a.b@r1",\n  },\n}', 1, '{\n  "a.a@r1",\n}'),
    "only one": ('{ "a.a@r1" }', 0, "{}"),
    "long comment": (
        '{\n  "a.a@r1", --[[ x\n  ]] "a.b@r1",\n}', 1, '{\n  "a.a@r1", --[[ x\n  ]]\n}',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "index", "wanted"), REMOVALS.values(), ids=REMOVALS)
def test_an_entry_is_removed_with_its_line(text, index, wanted):
    """An entry goes with its separator, and with the rest of a line of its own."""
    assert remove_element(f"packages = {before(text)}\n", index) == f"packages = {wanted}\n"


FIELDS = [
    ('{ recipe = "a.a@r1" }', VERSION, "2", '{ recipe = "a.a@r1", options = { version = "2" } }'),
    (
        '{ options = { debug = true, }, recipe = "a.a@r1" }', VERSION, "2",
        '{ options = { debug = true, version = "2", }, recipe = "a.a@r1" }',
    ),
    ('{ recipe = "a.a@r1", options = {} }', VERSION, "2",
     '{ recipe = "a.a@r1", options = { version = "2" } }'),
    ("{ recipe = 'a.a@r1', sha256 = 'x' --[[y]] }", ("sha256",), "z",
     "{ recipe = 'a.a@r1', sha256 = 'z' --[[y]] }"),
    ('{ ["recipe"] = "a.a@r1", ["ref"] = "old" }', ("ref",), "new",
     '{ ["recipe"] = "a.a@r1", ["ref"] = "new" }'),
    ('{ recipe = "a.a@r1", ref = "old" }', ("ref",), None, '{ recipe = "a.a@r1" }'),
    ('{\n  recipe = "a.a@r1",\n  ref = [[old]],\n}', ("ref",), None, '{\n  recipe = "a.a@r1",\n}'),
    ('"a.a@r1"', ("ref",), None, '"a.a@r1"'),
    ('{ recipe = "a.a@r1", options = make() }', VERSION, "2", None),
    ("entry()", VERSION, "2", None),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "path", "value", "wanted"), FIELDS)
def test_a_field_is_set_where_it_is_written(entry, path, value, wanted):
    """A field is changed, added or removed in a table; a computed table is not understood."""
    found = set_field(f'packages = {{ "a.b@r1", {entry} }}', 1, path, value)
    assert found == (wanted and f'packages = {{ "a.b@r1", {wanted} }}')


def test_an_edit_that_changes_another_platform_is_refused(opened):
    """Removing an expression would remove the other entry that it gives elsewhere."""
    text = 'packages = {\n  ENVY_PLATFORM == "windows" and "local.w@r1" or "local.o@r1",\n}\n'
    with pytest.raises(ManifestError, match="more than this entry would change on windows-x86_64"):
        edited(opened(text), Removal(0), {})


def test_an_edit_reaches_the_entry_of_every_platform(opened):
    """An entry whose options differ by platform is changed on each of them."""
    text = """packages = {
  { recipe = "local.a@r1", options = { version = "1", os = ENVY_PLATFORM } },
}
"""
    new = edited(opened(text, PLATFORMS), FieldChange(0, {VERSION: "2"}), {})
    assert new.text == text.replace('"1"', '"2"')


def test_errors_of_a_changed_entry_show_it_changed(opened):
    """What to write is shown with the new value, and where."""
    manifest = opened('local e = { recipe = "local.a@r1" }\npackages = { e, }\n')
    with pytest.raises(ManifestError) as caught:
        edited(manifest, FieldChange(0, {VERSION: "2"}), {})
    assert "envy.lua:2: envy cannot change this entry" in str(caught.value)
    assert '{ recipe = "local.a@r1", options = { version = "2" } },' in caught.value.hint
    with pytest.raises(ManifestError, match="envy cannot remove this entry"):
        edited(opened('packages = (function() return { "local.a@r1" } end)()'), Removal(0), {})


def test_an_invalid_result_is_refused_with_its_reason(opened):
    """An edit whose result is not a valid manifest is refused."""
    manifest = opened('packages = { { recipe = "local.a@r1", alias = "a" } }')
    with pytest.raises(ManifestError, match="the result is not valid: two packages have the alias"):
        edited(manifest, Insertion({"recipe": "local.b@r1", "alias": "a"}), {})


def test_a_manifest_with_an_error_is_reported_as_usual(opened):
    """A mistake in the manifest is an error of its line, not of the edit."""
    with pytest.raises(LuaScriptError, match=r"envy\.lua:2: "):
        opened("packages = {\n  oops oops\n}\n")


ENTRIES = st.sampled_from([
    '"envy.ninja@r1"', "'local.a@r1'", '{ recipe = "local.b@r1", options = { a = "}" } }',
    "[[local.c@r1]]", '{ recipe = "local.d@r1", -- {\n }',
])  # fmt: skip
SPACES = st.sampled_from(["", " ", "\n", "\n  ", "\r\n\t", " --[[ , ]] ", " -- }\n", "\n\n"])


ROWS = st.lists(st.tuples(SPACES, ENTRIES, SPACES, st.sampled_from(",;")), max_size=4)


def written(rows, space, *, trailing):
    """Return `packages` with these entries, each with what is around it."""
    text = "packages = {"
    for i, (left, entry, right, sign) in enumerate(rows):
        text += left + entry + right + (sign if trailing or i < len(rows) - 1 else "")
    return text + space + "}"


@settings(max_examples=50, deadline=None)
@given(
    rows=ROWS,
    trailing=st.booleans(),
    space=SPACES,
    tail=st.sampled_from(["", "\n", "\r\n", " x = 1\n"]),
)
def test_adding_and_removing_restores_the_bytes(rows, trailing, space, tail):
    """In any mix of spaces, comments and separators, an added entry is removed without a trace."""
    text = written(rows, space, trailing=trailing) + tail
    added = insert_element(text, ZIG)
    assert added.count("envy.zig@r1") == 1
    restored = remove_element(added, len(rows))
    if rows or space.strip() or "\n" in space:
        assert restored == text
    else:
        assert restored == f"packages = {{}}{tail}"


@settings(max_examples=50, deadline=None)
@given(rows=ROWS.filter(bool), trailing=st.booleans(), space=SPACES, which=st.integers(0, 3))
def test_removing_leaves_the_other_entries(rows, trailing, space, which):
    """Whatever is around it, an entry is removed with one separator, and nothing else but space."""
    index = which % len(rows)
    removed = remove_element(written(rows, space, trailing=trailing), index)
    rest = [row for i, row in enumerate(rows) if i != index]
    wanted = [token.text for token in tokens_of(written(rest, space, trailing=trailing))]
    signs = {",": ",", ";": ","}
    assert [signs.get(token.text, token.text) for token in tokens_of(removed)] == [
        signs.get(text, text) for text in wanted
    ]


def test_a_manifest_is_written_with_its_mode_through_a_link(tmp_path):
    """The target of a link is written, with its mode, and nothing is left beside it."""
    target = tmp_path / "real" / "packages.lua"
    target.parent.mkdir()
    target.write_text("packages = {}\n")
    target.chmod(0o640)
    link = tmp_path / "envy.lua"
    link.symlink_to("real/packages.lua")
    write_manifest(link, b"packages = { }\n", before=b"packages = {}\n")
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("packages = { }\n", 0o640)
    assert [path.name for path in target.parent.iterdir()] == ["packages.lua"]


def test_a_read_only_or_changed_manifest_is_not_written(tmp_path):
    """A manifest without permission to write, or with other content, stays as it is."""
    path = tmp_path / "envy.lua"
    path.write_text("packages = {}\n")
    path.chmod(0o444)
    with pytest.raises(ManifestError, match=r"envy.lua is read-only\n  hint: .*chmod u\+w"):
        write_manifest(path, b"x", before=b"packages = {}\n")
    path.chmod(0o644)
    with pytest.raises(ManifestError, match="has changed meanwhile"):
        write_manifest(path, b"x", before=b"packages = { 1 }\n")
    assert path.read_text() == "packages = {}\n"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_writers_one_is_told_to_try_again(tmp_path):
    """Two edits of the same content at once do not both succeed, so that none is lost."""
    path = tmp_path / "envy.lua"
    path.write_text("packages = {}\n")
    start = threading.Barrier(2)

    def write(content):
        start.wait()
        try:
            write_manifest(path, content, before=b"packages = {}\n")
        except ManifestError as error:
            return str(error)
        return content

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(write, [b"one", b"two"]))
    assert path.read_bytes() in results
    assert sum("has changed meanwhile" in str(result) for result in results) == 1


def test_a_computed_entry_is_not_shown_as_text(opened):
    """An entry with a function is named by its recipe in what to do by hand."""
    text = 'local f = function() end\nlocal e = { recipe = "local.a@r1", source = { fetch = f } }\n'
    with pytest.raises(EnvyError, match=r"the entry of local\.a@r1"):
        edited(opened(text + "packages = { e }\n"), FieldChange(0, {VERSION: "2"}), {})
