"""`envy git-resolve`: print the commit that a ref of a repository names."""

from __future__ import annotations

import json

import click

from envy.cli.fetch_context import command_context
from envy.cli.options import envy_command
from envy.cli.output import print_data, print_result
from envy.cli.settings import Settings, current_directory
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.errors import UsageError
from envy.masking import masked_data, remember_address
from envy.transport import resolve_ref


@envy_command(
    short_help="Print the commit that a branch or tag names.",
    examples=[
        ("envy git-resolve https://example.com/tool.git v1.2", "for the field ref of a source"),
        ("envy git-resolve ../tool HEAD", "of a repository on this machine"),
    ],
)
@click.argument("url", metavar="URL")
@click.argument("ref", metavar="REF")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, url: str, ref: str, *, as_json: bool) -> int:
    """Print the full hash of the commit that REF names in the repository at URL now.

    REF is a tag, a branch, HEAD (the default branch), or a full name such as refs/heads/main; of a
    tag and a branch of one name, the tag counts. A full hash is printed as it is, and nobody is
    asked.
    """
    remember_address(url)
    context = command_context(settings.environment, offline=settings.offline)
    commit = resolve_ref(repository(url, ref), context)
    if as_json:
        document = {"url": url, "ref": ref, "commit": commit}
        print_data(json.dumps(masked_data(document), indent=2))
    else:
        print_result(commit)
    return 0


def repository(url: str, ref: str) -> SourceItem:
    """Return a source that is a repository, also if its address does not end in .git.

    Raises:
        UsageError: it is something else; DeclarationError: envy does not support the scheme.
    """
    if not ref:
        raise UsageError("REF is empty", hint="HEAD names the default branch")
    scheme = scheme_of(url)
    if scheme in {Scheme.PYPI, Scheme.NPM} or not url:
        raise UsageError(f"{url!r} is not the address of a repository")
    if scheme is Scheme.LOCAL:
        url = f"git:{url}"
    elif scheme is not Scheme.GIT:
        url = f"git+{url}"
    return SourceItem(source=url, ref=ref, base_dir=current_directory())
