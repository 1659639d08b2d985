"""The examples of the guides for authors of recipes, run: each command has the output shown."""

import pytest
from documents import REPOSITORY, blocks_of, examples_of, run_example
from lupa.lua54 import LuaRuntime

EXAMPLES = [*examples_of("docs/recipes.md"), *examples_of("docs/recipe-tests.md")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_an_example_of_the_guide_prints_what_it_says(example, tmp_path):
    """Each example can be run alone, and its commands have the output shown."""
    run_example(example, tmp_path / "home")


@pytest.mark.parametrize("document", ["README.md", "docs/recipes.md"])
def test_every_lua_block_compiles(document):
    """Every Lua block compiles, including those that no example runs."""
    runtime = LuaRuntime()
    blocks = [
        text
        for _, info, text in blocks_of((REPOSITORY / document).read_text())
        if info.split()[:1] == ["lua"]
    ]
    assert blocks
    for block in blocks:
        runtime.compile(block)
