"""`envy cache clear`: remove everything from the cache."""

from __future__ import annotations

import sys

from envy.answers.write import basis_of
from envy.cache.clear import clear, remove_root
from envy.cache.collect import collecting
from envy.cache.layout import CacheLayout
from envy.cli.cache_gc import report_problems
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.waiting import wait_for
from envy.console.text import format_size, write_line


@envy_command(
    short_help="Remove everything.",
    examples=[
        ("envy cache clear", "free all the space that the cache takes"),
        ("envy cache clear --cache-root /opt/envy", "the same for another cache"),
    ],
)
def command(settings: Settings) -> int:
    """Remove every package, and everything else that envy keeps in the cache.

    Nothing is lost for good: the next sync of a project builds again what it needs. What a running
    command uses stays, and the exit code is 1. Files that envy did not create stay, too.
    """
    layout = CacheLayout(cache_root(settings))
    if not layout.root.is_dir():
        write_line(sys.stdout, f"there is nothing in {layout.root}")
        return 0
    with collecting(layout, wait=wait_for):
        done = clear(layout, basis_of)
    if not done.busy:
        remove_root(layout)
    for entry in done.in_use:
        write_line(sys.stdout, f"kept     {entry.key}: a running command uses it")
    freed = sum(entry.size for entry in done.removed)
    noun = "entry" if len(done.removed) == 1 else "entries"
    write_line(sys.stdout, f"freed {format_size(freed)} in {len(done.removed)} {noun}")
    if done.busy and not done.in_use:
        write_line(
            sys.stdout,
            "another envy is running: its records stay; repeat the command when it has ended",
        )
    return report_problems(done.failed) or (FAILURE if done.busy else 0)
