"""The pages under docs/ that describe the code agree with it."""

import importlib.util
import re
from pathlib import Path

import click
import pytest

from envy.cli.main import COMMANDS, LazyGroup
from envy.cli.options import CommonOption

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)")


@pytest.fixture(scope="module")
def generate():
    """Return the script behind `make docs`, as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _commands(group, path):
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def test_the_page_of_events_is_that_of_the_classes(generate):
    """docs/events.md is what the script generates from the event classes."""
    written = (DOCS / "events.md").read_text()
    assert written == generate.events_page(), "an event has changed: run `make docs`"


def test_the_page_of_shipped_recipes_is_that_of_the_table(generate):
    """docs/shipped.md is what the script generates from the recipes."""
    written = (DOCS / "shipped.md").read_text()
    assert written == generate.shipped_page(), "a recipe has changed: run `make docs`"


def test_every_command_and_option_is_documented():
    """docs/commands.md has a section for each command, which describes all its options."""
    sections = re.split(r"^### ", (DOCS / "commands.md").read_text(), flags=re.MULTILINE)
    parts = {part.partition("\n")[0]: " ".join(part.split()) for part in sections}
    group = LazyGroup(COMMANDS)
    missing = []
    for path, command in [("envy", group), *_commands(group, "envy")]:
        for option in command.params:
            is_repeated = isinstance(option, CommonOption) and command is not group
            if not isinstance(option, click.Option) or is_repeated:
                continue
            wanted = f"{option.opts[-1]} {option.help}"
            part = parts.get(path, "")
            if option.opts[-1] not in part or " ".join((option.help or "").split()) not in part:
                missing.append(f"{path} {wanted}")
        if path not in parts:
            missing.append(path)
    assert missing == [], "a command has changed: run `make docs`"


def test_links_lead_somewhere():
    """A relative link in a page leads to an existing file, and to an existing heading in it."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    broken = []
    for page in pages:
        for target, anchor in _LINK.findall(page.read_text()):
            aim = (page.parent / target) if target else page
            if not aim.exists() or (anchor and anchor not in _anchors(aim)):
                broken.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
    assert broken == []


def _anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
