"""`envy list`: list the packages of the manifest, or the recipes that ship with envy."""

from __future__ import annotations

import json

import click

from envy.cli.options import envy_command
from envy.cli.output import print_data, print_result
from envy.cli.settings import Settings
from envy.errors import UsageError
from envy.masking import masked_data


@envy_command(
    short_help="List the project's packages, or what ships with envy.",
    examples=[
        ("envy list", "the packages of the project"),
        ("envy list --shipped", "what envy add and envy x know by name"),
        ("envy list --bundles", "the recipes in the bundles of the manifest"),
        ("envy list --shipped --json", "with every known version and its digests"),
    ],
)
@click.option("--shipped", is_flag=True, help="List the recipes that ship with envy.")
@click.option("--bundles", is_flag=True, help="List the recipes in the manifest's bundles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, *, shipped: bool, bundles: bool, as_json: bool) -> int:
    """List the packages of the manifest: version, license, state and what each provides.

    Nothing is installed. With --shipped, no manifest is needed: each recipe that ships with envy is
    listed with its default version. With --bundles, the recipes in the bundles of the manifest are
    listed, each with its bundle.
    """
    if shipped and bundles:
        raise UsageError("--shipped and --bundles are two lists", hint="give one of them")
    if bundles:
        from envy.cli.bundled import bundled_recipes
        from envy.explain.listing import bundled_document, bundled_rows

        rows, is_whole = bundled_recipes(settings)
        found = [(row.recipe, row.bundle) for row in rows]
        _print(bundled_rows(found), bundled_document(found), as_json=as_json, none="recipes")
        return 0 if is_whole else 1
    if shipped:
        from envy.declarations.shipped_table import shipped_table
        from envy.explain.listing import recipe_rows, recipes_document

        table = shipped_table()
        _print(recipe_rows(table), recipes_document(table), as_json=as_json)
        return 0
    return _list_packages(settings, as_json=as_json)


def _list_packages(settings: Settings, *, as_json: bool) -> int:
    from envy.cache.resolutions import Upstream
    from envy.cli.outcome import print_gaps, resolved
    from envy.cli.wiring import open_session
    from envy.explain.listing import listed_packages, package_rows, packages_document

    with open_session(
        settings, owns_stdout=True, installs=False, upstream=Upstream.REMEMBERED
    ) as session:
        resolved(session)
        session.compute_keys()
        packages = listed_packages(session)
        _print(package_rows(packages), packages_document(packages), as_json=as_json)
        return print_gaps(session)


def _print(
    rows: list[str], document: dict[str, object], *, as_json: bool, none: str = "packages"
) -> None:
    if as_json:
        print_data(json.dumps(masked_data(document), indent=2))
    else:
        print_result("\n".join(rows) or f"(no {none})")
