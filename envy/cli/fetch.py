"""`envy fetch`: fetch one file, repository or folder, as recipes do."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from envy.cache.downloads import Downloads
from envy.cli.cache_root import cache_root
from envy.cli.fetch_context import command_context
from envy.cli.options import envy_command
from envy.cli.output import print_data, print_result
from envy.cli.progress_line import ProgressLine, progress_line
from envy.cli.settings import Settings, absolute_path, current_directory
from envy.cli.unwinding import unwind_at_signals
from envy.console.text import format_size
from envy.content.merge_folder import new_tree_for, put_in_place
from envy.declarations.locations import shown_path
from envy.declarations.sources import (
    Scheme,
    SourceItem,
    file_name,
    local_path,
    parse_source_item,
    scheme_of,
)
from envy.errors import DeclarationError, EnvyError, UsageError
from envy.masking import masked_data, remember_address
from envy.os_errors import os_error_text
from envy.transport import FetchContext, Fetched, fetch_source, resolve_ref
from envy.transport.addresses import redacted
from envy.transport.digests import expected_digests
from envy.transport.target import reusable


@envy_command(
    short_help="Fetch a file, a repository or a folder.",
    examples=[
        ("envy fetch https://example.com/tool.tar.gz", "into the current folder"),
        ("envy fetch https://example.com/x tool --sha256 DIGEST", "verified, with another name"),
        ("envy fetch https://example.com/tool.git --ref v1.2", "one commit, without its history"),
        ("envy fetch pypi:ruff==0.14.0 wheels/", "a wheel for this machine"),
    ],
)
@click.argument("uri", metavar="URI")
@click.argument("dest", required=False, metavar="[DEST]")
@click.option("--sha256", default="", metavar="DIGEST", help="The digest that the file must have.")
@click.option("--blake3", default="", metavar="DIGEST", help="The same, of BLAKE3.")
@click.option("--sha512", default="", metavar="DIGEST", help="The same, of SHA-512.")
@click.option("--ref", default="", metavar="REF", help="A commit, tag or branch of a repository.")
@click.option("--force", is_flag=True, help="Replace files of the same names.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    settings: Settings,
    uri: str,
    dest: str | None,
    *,
    sha256: str,
    blake3: str,
    sha512: str,
    ref: str,
    force: bool,
    as_json: bool,
) -> int:
    """Fetch what URI names into the current folder, or to DEST.

    URI is any source of a recipe: a URL, a repository (which needs --ref), pypi:NAME==VERSION,
    npm:NAME@VERSION, s3://BUCKET/KEY, oci:HOST/REPOSITORY@sha256:DIGEST, or a file or folder of
    this machine, which is copied whole. It is fetched with the transports, limits and credentials
    of recipes, and moved to its place when it is complete and verified.

    DEST is a folder that exists, or ends in /, or else the new name. A file that is there already
    is an error, unless it has the given digest (nothing is fetched then) or --force is given. For a
    file, its digest is printed; for a repository, its commit.
    """
    remember_address(uri)
    item = _item(uri, {"sha256": sha256, "blake3": blake3, "sha512": sha512, "ref": ref})
    target = absolute_path(dest, what="DEST") if dest is not None else current_directory()
    is_into = os.path.isdir(target) or dest is None or dest.endswith("/")  # noqa: PTH112
    unwind_at_signals()
    with progress_line("fetching", settings) as progress:
        context = _context(settings, progress)
        commit = resolve_ref(item, context) if scheme_of(uri) is Scheme.GIT else ""
        item = replace(item, ref=commit) if commit else item
        item = item if is_into else replace(item, dest=target.name)
        fetched = _fetch(item, target, context, is_into=is_into, force=force)
    _print(fetched, commit, settings, as_json=as_json)
    return 0


def _item(uri: str, given: Mapping[str, str]) -> SourceItem:
    """Return the source, as a recipe could name it.

    Raises:
        EnvyError: it is not a source, or lacks what it needs.
    """
    if not uri:
        raise UsageError("URI is empty")
    scheme, ref = scheme_of(uri), given["ref"]
    if scheme is Scheme.GIT and not ref:
        raise UsageError(
            f"{uri} is a repository, and needs --ref",
            hint="--ref HEAD is its default branch; envy git-resolve prints the commit of a ref",
        )
    if ref and scheme in {Scheme.HTTP, Scheme.LOCAL, Scheme.FILE}:
        prefix = "git:" if scheme is Scheme.LOCAL else "git+"
        raise UsageError(
            f"--ref is for repositories, and {uri} is not named as one",
            hint=f"if it is a repository, name it {prefix}{redacted(uri)}",
        )
    table = {"source": uri, **{name: value for name, value in given.items() if value}}
    # A folder is copied whole, with what version control keeps in it.
    whole = {"vcs": True} if scheme in {Scheme.LOCAL, Scheme.FILE} else {}
    return parse_source_item({**table, **whole}, origin=None, base_dir=current_directory())


def _context(settings: Settings, progress: ProgressLine) -> FetchContext:
    # A download that a recipe has kept serves as well, and one that broke off is continued.
    kept = Downloads(str(cache_root(settings)))
    return command_context(
        settings.environment, offline=settings.offline, progress=progress.transfer, kept=kept
    )


def _fetch(
    item: SourceItem, target: Path, context: FetchContext, *, is_into: bool, force: bool
) -> Fetched:
    """Fetch beside the target, and move it there."""
    name = _name(item)
    place = target if not is_into else target / name if name else None
    if place is not None:
        there = _there(item, place, force=force)
        if there is not None:
            return there
        _check_beside(item, place)
    with new_tree_for(place or target / "fetched") as new:
        fetched = fetch_source(item, new, context)
        place = place or target / fetched.path.name
        try:
            put_in_place(fetched.path, place, force=force)
        except OSError as error:
            raise EnvyError(f"{place} cannot be written: {os_error_text(error)}") from error
    return replace(fetched, path=place)


def _name(item: SourceItem) -> str:
    """Return the name that a source has by itself; "" if its registry decides it."""
    try:
        return file_name(item)
    except DeclarationError as error:
        hint = "name the file that it becomes: envy fetch URI DEST"
        raise UsageError(error.message, hint=hint) from error


def _there(item: SourceItem, place: Path, *, force: bool) -> Fetched | None:
    """Return a file that is there already and has the digests; None if nothing is there.

    Raises:
        EnvyError: something else is there; it is said before anything is transferred.
    """
    if not os.path.lexists(place):
        return None
    try:
        found = reusable(place, redacted(item.source), expected_digests(item))
    except OSError:
        found = None  # it cannot be read: it is only known to be there
    if found is not None:
        return found
    if not force and not os.path.isdir(place):  # noqa: PTH112
        raise EnvyError(
            f"{shown_path(place)} exists already"
            + (", with another digest" if expected_digests(item) else ""),
            hint="name another DEST, or replace it: --force",
        )
    return None


def _check_beside(item: SourceItem, place: Path) -> None:
    """Check that a folder is not copied into itself, which would not end."""
    if scheme_of(item.source) not in {Scheme.LOCAL, Scheme.FILE}:
        return
    source = os.path.realpath(local_path(item))
    inside = os.path.realpath(place.parent)
    if os.path.isdir(source) and (inside + "/").startswith(source.rstrip("/") + "/"):  # noqa: PTH112
        raise UsageError(
            f"{shown_path(place)} is inside of {item.source}, which it would be a copy of"
        )


def _print(fetched: Fetched, commit: str, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        document = {
            "path": str(fetched.path),
            "uri": fetched.uri,
            "bytes": fetched.bytes,
            "sha256": fetched.sha256,
            "commit": commit,
            "verified": fetched.verified,
        }
        print_data(json.dumps(masked_data(document), indent=2))
    elif not settings.quiet:
        lines = [f"fetched {shown_path(fetched.path)} ({format_size(fetched.bytes)})"]
        lines += [f"sha256 {fetched.sha256}"] if fetched.sha256 else []
        lines += [f"commit {commit}"] if commit else []
        print_result("\n".join(lines))
