"""`envy product`: print the path of a product, installing its provider first, or list them all."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence

import click

from envy.cache.resolutions import Upstream
from envy.cli.options import envy_command
from envy.cli.outcome import install, print_gaps, printing_failures, resolved
from envy.cli.output import print_data, print_result
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line, write_line
from envy.engine.session import Session
from envy.errors import UsageError
from envy.explain.products import (
    ProductView,
    ask_machine,
    asked_at_run_time,
    not_provided,
    products_here,
    provider_of,
)
from envy.masking import masked_data


@envy_command(
    short_help="Print the path of a product, or list all products.",
    examples=[
        ("envy product", "every product of the project"),
        ("envy product python", "the path of one product"),
        ("envy product cc --recipe acme.gcc", "the product of this package"),
    ],
)
@click.argument("name", required=False)
@click.option("--recipe", "query", metavar="QUERY", help="Use the package that matches QUERY.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--no-install", is_flag=True, help="Fail if the package is not installed.")
def command(
    settings: Settings, name: str | None, query: str | None, *, as_json: bool, no_install: bool
) -> int:
    """Print the path of the product NAME, such as python, whichever package provides it.

    The package is installed first if it is missing. For a user-managed package, the value that its
    recipe declares is printed unchanged. Without NAME, every product is listed with its package,
    and nothing is installed. If several packages provide NAME, the one that is nearest to the
    manifest is meant; --recipe chooses another.
    """
    if query and not name:
        raise UsageError("--recipe requires NAME, the product to print")
    started = time.monotonic()
    installs = bool(name) and not no_install
    upstream = Upstream.LEFT_ALONE if no_install else Upstream.REMEMBERED
    with open_session(settings, owns_stdout=True, installs=installs, upstream=upstream) as session:
        if not name:
            return _list(session, as_json=as_json)
        row = _locate(session, name, query or "", installs=installs, started=started)
    if as_json:
        print_data(json.dumps(dataclasses.asdict(masked_data(row)), indent=2))
    else:
        print_result(row.value)
    return 0


def _locate(
    session: Session, name: str, query: str, *, installs: bool, started: float
) -> ProductView:
    """Return the product of one package, installing the package if `installs` is set.

    Raises:
        EnvyError: no package or several packages provide it, or the provider failed or is missing.
    """
    with printing_failures(session):
        session.resolved()
        provider = provider_of(session, name, query=query)
        if provider is None:
            # Some packages know their products only once they are installed.
            silent = ask_machine(session)
            provider = provider_of(session, name, query=query)
            if provider is None:
                raise not_provided(session, name, query=query, silent=silent)
    failure = session.failure_of(provider.key)
    if failure is not None:
        raise failure
    if installs:
        install(session, [provider.key], command="product", started=started)
    else:
        session.require_installed([provider.key])
    session.store_answer()
    user_managed = provider.user_managed
    return ProductView(
        product=name,
        provider=provider.key.canonical,
        value=session.products_of(provider)[name],
        installed=None if user_managed else True,
        user_managed=user_managed,
    )


def _list(session: Session, *, as_json: bool) -> int:
    resolved(session)
    session.compute_keys()
    rows = products_here(session)
    unknown = [recipe.key.canonical for recipe in asked_at_run_time(session)]
    if as_json:
        document = {"products": [dataclasses.asdict(row) for row in rows], "unknown": unknown}
        print_data(json.dumps(masked_data(document), indent=2))
    else:
        print_result("\n".join(safe_line(line) for line in _table(rows)) or "(no products)")
    for key in unknown:
        write_line(sys.stderr, f"note: the products of {key} are known once its check succeeds")
    return print_gaps(session)


def _table(rows: Sequence[ProductView]) -> list[str]:
    names = max((len(row.product) for row in rows), default=0)
    providers = max((len(row.provider) for row in rows), default=0)
    return [
        f"{row.product:<{names}}  {row.provider:<{providers}}  {row.value or '?'}"
        + (" (not installed)" if row.installed is False else "")
        for row in rows
    ]
