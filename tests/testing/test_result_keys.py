"""The keys of results: different runs have different ones."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.declarations.test_rules import TestRule
from envy.testing.drivers.native.results import key_of as native_key
from envy.testing.drivers.recipe.results import key_of as recipe_key
from envy.testing.key_text import key_text
from envy.testing.package import PackageRun, RunSettings, Selection, TestPackage
from envy.testing.result_keys import parts_of_run, result_key

TEXTS = st.text("a\0\n12 ", max_size=4)
PARTS = st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=3)
KEYS = [native_key, recipe_key]


def run_of(*, names=None, run="", skip="", name="p", driver="x"):
    package = TestPackage(name=name, directory=Path("/p"), driver=driver, tests=("x",))
    return PackageRun(package=package, selection=Selection(names=names, run=run, skip=skip))


@settings(max_examples=50)
@given(PARTS, PARTS)
def test_different_parts_have_different_texts(one, other):
    """Whatever the texts contain: spaces, line ends, lengths."""
    assert (key_text(one) == key_text(other)) == (list(one.items()) == list(other.items()))


@pytest.mark.parametrize("key_of", KEYS)
def test_every_selection_has_a_key_of_its_own(key_of):
    """Names may have spaces, and may be those of other drivers' signs."""
    selections = [
        *({"names": names} for names in (("x y", "x"), ("x", "y x"), ("x",), ("1 x",), ("*",))),
        {}, {"names": ()}, {"run": "x"}, {"skip": "x"}, {"run": "x", "skip": "x"},
        {"run": "\0"}, {"run": "\0x"}, {"skip": "\0x"},
    ]  # fmt: skip
    keys = [key_of(run_of(**one), RunSettings(), {}, count=1) for one in selections]
    assert len(set(keys)) == len(selections)


@pytest.mark.parametrize("key_of", KEYS)
def test_how_tests_run_is_in_the_key(key_of):
    """A test that runs alone passes where it may not beside others; retries prove nothing."""
    rules = [
        (), (TestRule(test="x", serial=True),), (TestRule(test="x", serial=False),),
        (TestRule(test="x", timeout=1.0),), (TestRule(package="x", serial=True),),
        (TestRule(test="x", serial=True), TestRule(test="y", serial=True)),
    ]  # fmt: skip
    keys = {
        key_of(run_of(), RunSettings(rules=rule, isolate=alone), {}, count=count)
        for rule in rules for alone in (False, True) for count in (1, 2)
    }  # fmt: skip
    assert len(keys) == len(rules) * 4
    retried = RunSettings(rules=(TestRule(test="x", retries=3),))
    assert key_of(run_of(), retried, {}, count=1) in keys


def test_parts_of_a_run_may_have_any_bytes():
    """Names of folders and variables are not always UTF-8."""
    parts = parts_of_run(run_of(name="\udcff", names=("\ud800",)), RunSettings(), count=1)
    assert result_key(parts) != result_key({**parts, "package": "\udcfe"})
