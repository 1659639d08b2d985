"""`envy extract`: unpack an archive, or list what it contains."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import click

from envy.cli.options import envy_command
from envy.cli.output import print_data, print_lines, print_result
from envy.cli.progress_line import ProgressLine, progress_line
from envy.cli.settings import Settings, absolute_path, current_directory
from envy.cli.unwinding import unwind_at_signals
from envy.console.text import format_clock
from envy.console.transfer_line import RateMeter
from envy.content.archive import (
    decompress_file,
    decompressed_name,
    extract_below,
    is_single_compressed_file,
)
from envy.content.archive_listing import ArchiveMember, members_in
from envy.content.below_root import open_below
from envy.content.checksum_lines import escaped_name
from envy.content.extraction import judge_links
from envy.content.merge_folder import new_tree_for, put_in_place
from envy.declarations.locations import shown_path
from envy.errors import ArchiveError, EnvyError, UsageError
from envy.masking import masked_data
from envy.os_errors import os_error_text

_BATCH = 1000  # names that are printed at once


@envy_command(
    short_help="Unpack an archive, or list it.",
    examples=[
        ("envy extract tool.tar.gz", "into the current folder"),
        ("envy extract tool.zip tool --strip 1", "without the top folder, into another one"),
        ("envy extract --list tool.tar.gz", "only the names"),
    ],
)
@click.argument("archive", metavar="ARCHIVE")
@click.argument("dest", required=False, metavar="[DEST]")
@click.option(
    "--strip",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Drop the first N parts of each name.",
)
@click.option("--list", "lists", is_flag=True, help="Print the names, and unpack nothing.")
@click.option("--force", is_flag=True, help="Replace files of the same names.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    settings: Settings,
    archive: str,
    dest: str | None,
    *,
    strip: int,
    lists: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Unpack ARCHIVE into the folder DEST, or the current one; print the number of files.

    ARCHIVE is a tar (plain, gz, bz2, xz, zst), a zip, wheel, 7z or ar, or a Debian or RPM package;
    a single compressed file is decompressed. Nothing is written outside of DEST, whatever the names
    and links in the archive. Everything is unpacked beside its place first, and moved there at the
    end: DEST is never left with a part. A file that exists already is an error, and nothing is
    changed then, unless --force says to replace it. Folders that exist are kept, and get the new
    files.
    """
    path = _archive(archive)
    if lists:
        if dest or force:
            raise UsageError("--list unpacks nothing, and takes no DEST and no --force")
        return _list(path, strip, as_json=as_json)
    target = absolute_path(dest, what="DEST") if dest is not None else current_directory()
    unwind_at_signals()
    with progress_line("extracting", settings) as progress:
        count = _extract(path, target, strip, force=force, progress=progress)
    if as_json:
        document = {"path": str(target), "files": count}
        print_data(json.dumps(masked_data(document), indent=2))
    elif not settings.quiet:
        counted = "1 file" if count == 1 else f"{count} files"
        print_result(f"extracted {counted} to {shown_path(target)}")
    return 0


def _archive(name: str) -> Path:
    """Return the path of an archive.

    Raises:
        EnvyError: there is no such file, or it is not a plain file.
    """
    path = absolute_path(name, what="ARCHIVE")
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise EnvyError(f"{name} cannot be read: {reason}") from error
    if not stat.S_ISREG(mode):
        raise EnvyError(f"{name} is not a plain file")
    if not os.access(path, os.R_OK):
        raise EnvyError(f"{name} cannot be read: Permission denied")
    return path


def _extract(path: Path, target: Path, strip: int, *, force: bool, progress: ProgressLine) -> int:
    """Unpack beside the target, move everything there, and return the number of files."""
    with new_tree_for(target) as new:
        if is_single_compressed_file(path):
            if strip:
                raise UsageError(f"{path.name} is a single compressed file: --strip drops nothing")
            decompress_file(path, new / decompressed_name(path.name))
            count = 1
        else:
            with open_below(new) as below:
                meter = _FileMeter(path.name, progress)
                count = extract_below(path, below, (), strip=strip, report=meter.at)
                judge_links(below)
        try:
            put_in_place(new, target, force=force)
        except OSError as error:
            raise ArchiveError(
                f"{target} cannot be written: {os_error_text(error)}", archive=path
            ) from error
    return count


class _FileMeter:
    """Shows the number of files, their rate, and the time that is left."""

    def __init__(self, name: str, progress: ProgressLine) -> None:
        self._name = name
        self._progress = progress
        self._meter = RateMeter()

    def at(self, done: int, total: int) -> None:
        """Show how many files are unpacked; the total is 0 if it is unknown."""
        if not self._progress.is_due():
            return
        rate = self._meter.rate(done, time.monotonic())
        parts = [f"{done} of {total} files" if total else f"{done} files"]
        if rate:
            parts.append(f"{rate:.0f}/s")
            parts += [f"~{format_clock((total - done) / rate + 0.5)}"] if total > done else []
        self._progress.at(self._name, 0, 0, more="  ".join(parts))


# -- listing -------------------------------------------------------------------------------------


def _list(path: Path, strip: int, *, as_json: bool) -> int:
    members = (_stripped(member, strip) for member in members_in(path))
    if as_json:
        rows = [member._asdict() for member in members if member is not None]
        print_data(json.dumps(masked_data(rows), indent=2))
        return 0
    waiting: list[bytes] = []
    for member in members:
        if member is not None:
            waiting.append(os.fsencode(escaped_name(member.name)))
        if len(waiting) == _BATCH:
            if not print_lines(waiting):
                return 0  # nobody wants the rest
            waiting.clear()
    if waiting:
        print_lines(waiting)
    return 0


def _stripped(member: ArchiveMember, strip: int) -> ArchiveMember | None:
    """Return a member without the first parts of its name; None if nothing is left."""
    if not strip:
        return member
    end = "/" if member.name.endswith("/") else ""
    parts = [part for part in member.name.split("/") if part not in {"", "."}][strip:]
    return member._replace(name="/".join(parts) + end) if parts else None
