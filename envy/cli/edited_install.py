"""What follows an edit of the manifest: its lock, and installing what the edit brought.

The edit is undone if one of them fails.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envy.cli.edits import shown_key, tell
from envy.cli.settings import Settings
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import ManifestFile
from envy.declarations.manifest_write import write_manifest
from envy.engine.lock_use import lock_path
from envy.errors import EnvyError
from envy.limits import LOCK_FILE


def follow_edit(
    new: ManifestFile,
    old: ManifestFile,
    settings: Settings,
    *,
    installs: Sequence[int] = (),
) -> int:
    """Bring the lock up to date with a manifest that was written, and install some entries.

    Returns the exit code. The old manifest and lock are written again if that fails or is stopped.
    """
    with _restored(new, old, settings) as outcome:
        if new.content != old.content:
            _update_lock(settings)
        outcome.installs = bool(installs)
        outcome.code = _install(new, installs, settings) if installs else 0
    return outcome.code


def _update_lock(settings: Settings) -> None:
    from envy.cli.lock import repair_note, update_lock_if_present

    result = update_lock_if_present(settings)
    if result is None:
        return
    if result.made.problem:
        tell(settings, repair_note(result))
    if not result.is_current:
        tell(settings, f"wrote {shown_path(result.path)}")


def _install(manifest: ManifestFile, indexes: Sequence[int], settings: Settings) -> int:
    from envy.cli.sync import report_sync, run_sync

    queries = [shown_key(manifest.entries[index]) for index in indexes]
    result = run_sync(settings, queries, time.monotonic(), as_json=False, asks=False)
    return report_sync(result, settings)


@dataclass(slots=True)
class _Outcome:
    """The exit code of what follows an edit, 1 until it is known; whether an install was begun."""

    code: int = 1
    installs: bool = False


@contextlib.contextmanager
def _restored(new: ManifestFile, old: ManifestFile, settings: Settings) -> Iterator[_Outcome]:
    outcome, lock = _Outcome(), lock_path(old.path)
    locked = _content(str(lock))
    try:
        yield outcome
    finally:
        if outcome.code and new.content != old.content:
            with contextlib.suppress(EnvyError):  # somebody has changed it meanwhile
                write_manifest(old.path, old.content, before=new.content)
                hint = "; --no-install keeps an entry" if outcome.installs else ""
                tell(settings, f"{shown_path(old.path)} is as it was{hint}")
                if locked is not None and _content(str(lock)) != locked:
                    from envy.cli.lock import write_lock

                    write_lock(lock, locked)


def _content(path: str) -> bytes | None:
    try:
        return read_plain(path, LOCK_FILE)
    except (OSError, NotPlain):
        return None
