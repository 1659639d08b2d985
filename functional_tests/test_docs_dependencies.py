"""docs/dependencies.md: every example is a project, and every command has the output shown."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "dependencies.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def sections():
    """Yield the examples of the page: the title, and the blocks below it in order."""
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        blocks = BLOCK.findall(body)
        if blocks:
            yield title, blocks


def steps(console):
    """Yield the commands of a console block, each with its output."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield shlex.split(command), output.rstrip("\n")


def test_the_page_has_an_example_of_each_kind():
    """The page draws strong, weak, required, product and source edges."""
    pictures = "".join(
        text for _, blocks in sections() for kind, _, text in blocks if kind == "mermaid"
    )
    for word in ('"strong', '"weak', '"required', "product", '"source'):
        assert word in pictures


SECTIONS = list(sections())


@pytest.mark.parametrize(("title", "blocks"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_the_example_does_what_it_says(project, title, blocks):
    """In the order of the page, files are written, and commands have the output shown."""
    for kind, name, text in blocks:
        if kind == "lua":
            project.write(name, text)
        elif kind == "mermaid":
            assert project.envy("graph", "--format", "mermaid", trace=False).out == text
        else:
            assert kind == "console", (title, kind)
            for words, expected in steps(text):
                assert words[0] == "envy"
                run = project.envy(*words[1:], code=None, trace=False)
                printed = run.out or run.err
                assert printed.rstrip("\n") == expected
