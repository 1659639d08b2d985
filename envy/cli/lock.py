"""`envy lock`: write what the manifest resolves to, on every platform, into envy.lock."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envy.cache.resolutions import Upstream
from envy.cli.options import envy_command
from envy.cli.output import print_data, print_result
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_lines, write_line
from envy.engine.lock_maker import differences
from envy.engine.lock_use import LockMode, LockOrder, lock_path, matching_packages
from envy.errors import EnvyError
from envy.locking.lock import LOCK_NAME, RECIPE, UNLOCKED, LockEntry
from envy.locking.text import DamagedLock, lock_text, parse_lock
from envy.masking import masked_data
from envy.suggest import did_you_mean

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.engine.lock_maker import MadeLock
    from envy.host.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """The outcome of locking: the new lock, and how it differs from the file that was there."""

    path: Path
    made: MadeLock
    changes: Sequence[str]  # lines that begin with - or +
    is_current: bool  # the file has the text of the new lock

    @property
    def not_locked(self) -> list[LockEntry]:
        """The entries that say what is not locked, and why."""
        return [entry for entry in self.made.lock.entries if entry.kind == UNLOCKED]


@envy_command(
    short_help="Write what envy.lua resolves to into envy.lock.",
    examples=[
        ("envy lock", "lock what is new, and keep the rest"),
        ("envy lock --update ruff", "look ruff up again"),
        ("envy lock --check", "for a pipeline: is the lock complete?"),
        ("envy lock --platform linux-x86_64-musl", "lock for one more platform"),
    ],
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the lock would change.")
@click.option(
    "--update", "updates", multiple=True, metavar="QUERY", help="Look a package up again."
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="P",
    help="Lock for this platform only.",
)
@click.option("--no-install", is_flag=True, help="Install no tools, nor uv.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    settings: Settings,
    *,
    check: bool,
    updates: tuple[str, ...],
    platforms: tuple[str, ...],
    no_install: bool,
    as_json: bool,
) -> int:
    """Write envy.lock, which has a digest or a commit for everything that can move upstream.

    The project is resolved for each platform; nothing is installed but the tools that custom
    sources need, and uv if Python requirements are to be resolved. What the present lock has is
    kept as long as it satisfies the manifest and the recipes; --update looks the packages of a
    QUERY up again. Both may be repeated.

    Digests come from registries; a file is downloaded only where there is none. What cannot be
    locked is listed with the reason. Conflict markers of a merge are resolved.
    """
    result = lock_file(
        settings,
        updates=updates,
        platforms=platforms,
        installs=not no_install,
        writes=not check,
        owns_stdout=as_json,
    )
    if as_json:
        print_data(json.dumps(masked_data(_document(result, checks=check)), indent=2))
    else:
        _print(result, settings, checks=check)
    return int(check and not result.is_current)


def lock_file(
    settings: Settings,
    *,
    updates: Sequence[str] = (),
    platforms: Sequence[str] = (),
    installs: bool = True,
    writes: bool = True,
    owns_stdout: bool = False,
    platform: Platform | None = None,
) -> LockResult:
    """Make the lock of a project, and write it unless it is there already.

    `platform` takes the place of that of this machine.

    Raises:
        EnvyError: the project cannot be locked, or the file cannot be written.
    """
    settings = replace(settings, locked=False)
    with open_session(
        settings,
        owns_stdout=owns_stdout,
        installs=installs,
        upstream=Upstream.ASKED,
        lock_order=LockOrder(LockMode.REMADE, updates),
        platform=platform,
    ) as session:
        path = lock_path(session.manifest.path)
        made = session.new_lock(named=platforms, installs=installs)
        _check_updates(updates, made, session.manifest)
        text = _text_of(made)
        # A checkout may have changed the line ends, which mean nothing.
        is_current = (_content(path) or b"").replace(b"\r\n", b"\n") == text
        if writes and not is_current:
            write_lock(path, text)
    return LockResult(
        path=path, made=made, changes=differences(made.before, made.lock), is_current=is_current
    )


def update_lock_if_present(settings: Settings, *, updates: Sequence[str] = ()) -> LockResult | None:
    """Write the lock anew after a command has changed the manifest, if there is a lock.

    `updates` are queries for the packages whose versions the command has changed.

    Raises:
        EnvyError: as for `lock_file`.
    """
    from envy.cli.manifest_path import manifest_path

    manifest = manifest_path(settings)
    if not lock_path(manifest).exists():
        return None
    return lock_file(settings, updates=updates)


def _text_of(made: MadeLock) -> bytes:
    """Return the text of a lock, which every envy can read.

    Raises:
        EnvyError: a registry gave a file a name that no lock may have, say.
    """
    text = lock_text(made.lock).encode("ascii")
    try:
        parse_lock(text)
    except DamagedLock as error:
        entry = error.problem.partition(": ")[2]
        raise EnvyError(f"the project cannot be locked: {entry}") from None
    return text


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def write_lock(path: Path, text: bytes) -> None:
    """Write the lock as a whole; the permissions of a file that is there stay as they are.

    Raises:
        EnvyError: the file cannot be written.
    """
    from envy.content.atomic import atomic_write

    path = path.resolve()  # a link stays one
    try:
        mode = path.stat().st_mode & 0o7777 if path.exists() else None
        atomic_write(str(path), text, mode=mode)
    except OSError as error:
        raise EnvyError(
            f"{LOCK_NAME} cannot be written: {error.strerror}",
            hint=f"make {path.parent} writable",
        ) from error


def _check_updates(updates: Sequence[str], made: MadeLock, manifest: Manifest) -> None:
    """Raise if a query of --update names no package of the project."""
    packages = sorted({entry.package for entry in made.lock.entries if entry.kind == RECIPE})
    for query in updates:
        if not matching_packages(made.lock, manifest, [query]):
            near = did_you_mean(query, packages)
            raise EnvyError(f"--update: no package of the project answers to {query}", hint=near)


def _print(result: LockResult, settings: Settings, *, checks: bool) -> None:
    lines = [repair_note(result)] if result.made.problem else []
    lines += [f"note: {name} is left out: {why}" for name, why in result.made.left_out.items()]
    lines += [f"note: {_shown(entry)}" for entry in result.not_locked]
    for line in lines if not settings.quiet else ():
        for row in safe_lines(str(masked_data(line))):
            write_line(sys.stderr, row)
    if checks and not result.is_current:
        shown = [*result.changes] or ["the same entries, written in another way"]
        print_result("\n".join(row for line in shown for row in safe_lines(line)))
    elif not settings.quiet:
        write_line(sys.stderr, _summary(result))


def repair_note(result: LockResult) -> str:
    """Return the line about a damaged lock that was made anew from what can be read of it."""
    return f"note: {result.made.problem}; what can be read of it is kept"


def _shown(entry: LockEntry) -> str:
    where = "" if entry.platform == "*" else f" on {entry.platform}"
    return f"not locked: {entry.package}{where}: {entry.subject}"


def _summary(result: LockResult) -> str:
    lock = result.made.lock
    packages = len({entry.package for entry in lock.entries if entry.kind == RECIPE})
    counted = f"{packages} package{'s' if packages != 1 else ''}"
    platforms = f"{len(lock.platforms)} platform{'s' if len(lock.platforms) != 1 else ''}"
    verb = "is as it was" if result.is_current else "written"
    return f"{LOCK_NAME} {verb}: {counted} on {platforms}"


def _document(result: LockResult, *, checks: bool) -> dict[str, object]:
    return {
        "lock": str(result.path),
        "changed": not result.is_current,
        "written": not result.is_current and not checks,
        "platforms": list(result.made.lock.platforms),
        "left_out": [
            {"platform": name, "reason": why} for name, why in result.made.left_out.items()
        ],
        "not_locked": [
            {"package": entry.package, "platform": entry.platform, "reason": entry.subject}
            for entry in result.not_locked
        ],
        "removed": [line[2:] for line in result.changes if line[0] == "-"],
        "added": [line[2:] for line in result.changes if line[0] == "+"],
    }
