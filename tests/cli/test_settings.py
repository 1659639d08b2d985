"""Merging options with the environment."""

from pathlib import Path

import pytest

from envy.cli.doctor_settings import OPTION_VARIABLES
from envy.cli.settings import Settings, merge_settings
from envy.console.verbosity import Verbosity
from envy.errors import UsageError


def test_without_options_or_variables_nothing_is_set():
    """Without options and variables, the settings are the defaults."""
    assert merge_settings({}, {}) == Settings()


def test_the_environment_applies_without_an_option(tmp_path):
    """Each variable of an option replaces it."""
    environment = {
        "ENVY_MANIFEST": "sub/envy.lua",
        "ENVY_CACHE_ROOT": str(tmp_path),
        "ENVY_YES": "1",
        "ENVY_OFFLINE": "yes",
        "ENVY_LOCKED": "on",
        "ENVY_DEPOT_WRITE": "1",
        "ENVY_DEPOT_UNSIGNED": "true",
        "ENVY_REMOTE": "grpc://h",
        "ENVY_REMOTE_READ_ONLY": "yes",
        "ENVY_REMOTE_UNSIGNED": "1",
    }
    assert set(environment) == set(OPTION_VARIABLES.values())  # those that `envy doctor` shows
    assert merge_settings({}, environment) == Settings(
        manifest=Path.cwd() / "sub/envy.lua",
        cache_root=tmp_path,
        assume_yes=True,
        offline=True,
        locked=True,
        depot_write=True,
        depot_unsigned=True,
        remote="grpc://h",
        remote_read_only=True,
        remote_unsigned=True,
    )


def test_an_option_wins_over_the_environment(tmp_path):
    """An option overrides its variable."""
    settings = merge_settings({"cache_root": tmp_path}, {"ENVY_CACHE_ROOT": "/elsewhere"})
    assert settings.cache_root == tmp_path


def test_empty_variables_are_ignored():
    """A variable with an empty value counts as unset."""
    environment = {"ENVY_MANIFEST": "", "ENVY_CACHE_ROOT": "", "ENVY_YES": ""}
    assert merge_settings({}, environment) == Settings()


def test_a_relative_cache_root_in_the_environment_is_an_error():
    """A relative path would name another cache in each directory."""
    with pytest.raises(UsageError, match="'cache', which is not an absolute path"):
        merge_settings({}, {"ENVY_CACHE_ROOT": "cache"})


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("Yes", True), ("0", False)])
def test_the_usual_words_for_yes_are_understood(text, expected):
    """1, yes, 0 and their variants are parsed in any case."""
    assert merge_settings({}, {"ENVY_YES": text}).assume_yes is expected


def test_an_invalid_yes_is_an_error():
    """Any other value of ENVY_YES is an error."""
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
def test_verbosity_follows_the_options(settings, expected):
    """--verbose and --quiet set the two ends of one scale."""
    assert settings.verbosity is expected
