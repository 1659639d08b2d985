"""Lines of entries, found when a message needs them."""

from pathlib import Path

import pytest

from envy.declarations.locations import SourceText, shown_path
from envy.errors import SourceLocation

TEXT = """\
identity = "local.a@r1"
packages = {
  "envy.ninja@r1",
  { recipe = "local.b@r1",
    alias = "b" },
}
options = { version = { type = "string" },
  jobs = { type = "integer" } }
computed = make()
function build(ctx) end
"""
SOURCE = SourceText(Path("/x/a.lua"), TEXT)


def test_element_and_its_fields():
    """An element has its line, and so have the fields of its table."""
    packages = SOURCE.at("packages", length=2)
    assert packages.line == 2
    assert [packages.at_element(i).line for i in range(2)] == [3, 4]
    assert packages.at_element(1).at_field("alias").line == 5
    assert packages.at_element(1).at_field("missing").line == 4
    assert packages.at_element(0).at_field("missing").line == 3


def test_fields_of_a_table():
    """Each field of a table has a line, which is also that of inner values."""
    options = SOURCE.at("options")
    assert options.at_field("jobs").line == 8
    assert options.at_field("jobs").at_field("type").line == 8
    assert options.at_field("jobs").at_element(0).line == 8


def test_computed_elements_have_the_line_of_their_table():
    """If the text has another number of elements, none is mistaken for another."""
    assert SOURCE.at("packages", length=3).at_element(2).line == 2


@pytest.mark.parametrize(("name", "line"), [("identity", 1), ("computed", 9), ("build", 10)])
def test_other_globals_have_the_line_of_their_assignment(name, line):
    """A value that is not a table has a line, too."""
    assert SOURCE.at(name).line == line


def test_global_of_another_file_has_no_line():
    """A global that is not in the text is shown with the file only."""
    assert str(SOURCE.at("missing")) == "/x/a.lua"


def test_equals_a_plain_location():
    """A lazy location equals a plain one with the same file and line."""
    origin = SOURCE.at("identity")
    assert origin == SourceLocation(Path("/x/a.lua"), 1)
    assert SourceLocation(Path("/x/a.lua"), 1) == origin
    assert hash(origin) == hash(SourceLocation(Path("/x/a.lua"), 1))
    assert str(origin) == "/x/a.lua:1"


def test_path_below_the_current_directory_is_shown_relative():
    """Messages name files as the user would."""
    assert shown_path(Path.cwd() / "recipes" / "a.lua") == Path("recipes/a.lua")
    assert shown_path(Path("/x/a.lua")) == Path("/x/a.lua")
