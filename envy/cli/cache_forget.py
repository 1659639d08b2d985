"""`envy cache forget`: drop what the cache knows about a project."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from envy.answers.read import answer_path
from envy.cache.durations import durations_path
from envy.cache.layout import CacheLayout
from envy.cache.resolutions import resolutions_path
from envy.cache.usage import forget_project, project_of, read_uses
from envy.cli.cache_root import cache_root
from envy.cli.options import envy_command
from envy.cli.settings import Settings, current_directory
from envy.console.text import safe_line, write_line
from envy.errors import UsageError

_MOST_PROJECTS = 10


@envy_command(
    short_help="Drop the records of a project.",
    examples=[
        ("envy cache forget ~/old-project", "its packages may go at the next gc"),
        ("envy cache forget .", "the project of this folder"),
    ],
)
@click.argument("project", metavar="PROJECT")
def command(settings: Settings, project: str) -> None:
    """Drop what the cache recorded about PROJECT, so that no package stays for its sake.

    PROJECT is the folder of a manifest, or a manifest; it need not exist any more. Nothing else is
    removed: `envy cache gc` then removes the packages that no other project needs, by their age.
    The next sync of the project records it again.
    """
    layout = CacheLayout(cache_root(settings))
    uses = read_uses(layout)
    path = os.path.normpath(current_directory() / project)
    named = [project_of(name) for name in (path, os.path.realpath(path))]
    found = next((name for name in named if name in uses.projects), None)
    if found is None:
        raise UsageError(
            f"the cache has no records of a project {safe_line(path)}", hint=_hint(uses.projects)
        )
    manifests, records = forget_project(layout, found)
    for manifest in manifests:
        folder = str(Path(manifest).parent)
        for file in (
            answer_path(str(layout.root), manifest),
            durations_path(str(layout.durations_root), folder),
            resolutions_path(str(layout.resolutions_root), manifest),
        ):
            with contextlib.suppress(OSError):
                Path(file).unlink()
    held = {
        name for name, rows in uses.by_entry.items() if any(row.project == found for row in rows)
    }
    write_line(
        sys.stdout,
        f"forgot {safe_line(found)}: {records} {'record' if records == 1 else 'records'} of "
        f"{len(held)} {'package' if len(held) == 1 else 'packages'}",
    )


def _hint(projects: set[str]) -> str:
    if not projects:
        return "no project has used this cache yet"
    shown = sorted(projects)[:_MOST_PROJECTS]
    more = f" and {len(projects) - len(shown)} more" if len(projects) > len(shown) else ""
    return f"it knows {', '.join(map(safe_line, shown))}{more}"
