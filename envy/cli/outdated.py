"""`envy outdated`: show which packages of the manifest have newer versions."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from envy.cli.cache_gc import parse_span
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.cli.upgrades import found_upgrades
from envy.console.text import safe_line
from envy.explain.upgrades import Upgrade
from envy.masking import masked_data

_SHORT = 12  # digits of a commit or a digest


@envy_command(
    short_help="Show which packages of envy.lua have newer versions.",
    examples=[
        ("envy outdated", "every package that is not the newest"),
        ("envy outdated ninja --json", "one package, for a program"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option(
    "--min-age",
    callback=parse_span,
    metavar="SPAN",
    help="Only versions that were released at least this long ago (7d, 12h, 2w).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, also about what is newest.")
def command(
    settings: Settings, queries: tuple[str, ...], *, min_age: float | None, as_json: bool
) -> int:
    """Show what is newer than the packages that the manifest lists, or than those of QUERY.

    A version is compared with those that the recipe declares and those that its registry or
    repository has, the commit or tag of a recipe's repository with its newest tag, and a recipe
    file that has a digest with the file as it is now; bundles of recipes as such repositories and
    files are. `envy upgrade` writes the newer ones.
    """
    found, code = found_upgrades(settings, queries, least_age=min_age or 0.0)
    if as_json:
        print_data(json.dumps(masked_data([_row(one) for one in found]), indent=2))
        return code
    rows = [one for one in found if one.newest or one.note]
    if rows:
        print_data("\n".join(safe_line(line) for line in _table(rows)))
    return code


def _row(found: Upgrade) -> dict[str, object]:
    return {
        "package": found.package,
        "origin": str(found.origin),
        "what": found.what,
        "current": found.current,
        "newest": found.newest or found.current,
        "upgradable": bool(found.fields),
        "note": found.note,
    }


def _table(rows: Sequence[Upgrade]) -> list[str]:
    cells = [("package", "current", "newest", "")]
    cells += [
        (row.package, short(row, row.current), short(row, row.newest), row.note) for row in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = []
    for *columns, note in cells:
        padded = "  ".join(text.ljust(width) for text, width in zip(columns, widths, strict=True))
        lines.append(f"{padded}  {note}".rstrip())
    return lines


def short(found: Upgrade, text: str) -> str:
    """Return a version whole, and a commit or a digest in short."""
    is_hash = len(text) >= 40 and all(sign in "0123456789abcdef" for sign in text)
    return text[:_SHORT] if is_hash and found.what != "version" else text
