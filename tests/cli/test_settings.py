"""How options and the environment come together."""

from pathlib import Path

import pytest

from envy.cli.settings import Settings, merge_settings
from envy.console.verbosity import Verbosity
from envy.errors import UsageError


def test_without_options_or_variables_nothing_is_set():
    """The defaults are those of Settings."""
    assert merge_settings({}, {}) == Settings()


def test_the_environment_is_taken_where_no_option_is_given(tmp_path):
    """ENVY_MANIFEST, ENVY_CACHE_ROOT and ENVY_YES stand for their options."""
    environment = {
        "ENVY_MANIFEST": "sub/envy.lua",
        "ENVY_CACHE_ROOT": str(tmp_path),
        "ENVY_YES": "1",
    }
    assert merge_settings({}, environment) == Settings(
        manifest=Path.cwd() / "sub/envy.lua", cache_root=tmp_path, assume_yes=True
    )


def test_an_option_wins_over_the_environment(tmp_path):
    """What is written on the command line is nearer than a variable."""
    settings = merge_settings({"cache_root": tmp_path}, {"ENVY_CACHE_ROOT": "/elsewhere"})
    assert settings.cache_root == tmp_path


def test_empty_variables_are_none():
    """A variable that is set to nothing says nothing."""
    environment = {"ENVY_MANIFEST": "", "ENVY_CACHE_ROOT": "", "ENVY_YES": ""}
    assert merge_settings({}, environment) == Settings()


def test_a_relative_cache_root_in_the_environment_is_an_error():
    """It would name another cache in each directory."""
    with pytest.raises(UsageError, match="'cache', which is not an absolute path"):
        merge_settings({}, {"ENVY_CACHE_ROOT": "cache"})


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("Yes", True), ("0", False)])
def test_yes_is_read_as_people_write_it(text, expected):
    """The usual words for yes and no are understood."""
    assert merge_settings({}, {"ENVY_YES": text}).assume_yes is expected


def test_a_yes_that_is_neither_is_an_error():
    """A question is not answered by a guess."""
    with pytest.raises(UsageError, match="ENVY_YES is 'maybe'"):
        merge_settings({}, {"ENVY_YES": "maybe"})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), Verbosity.NORMAL),
        (Settings(verbose=True), Verbosity.VERBOSE),
        (Settings(quiet=True), Verbosity.QUIET),
    ],
)
def test_verbosity_is_what_was_asked_for(settings, expected):
    """--verbose and --quiet are the two ends of one scale."""
    assert settings.verbosity is expected
