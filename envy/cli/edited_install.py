"""Installing what an edit of the manifest brought; the edit is undone if that fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envy.cli.edits import shown_key, tell
from envy.cli.settings import Settings
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import ManifestFile
from envy.declarations.manifest_write import write_manifest
from envy.errors import EnvyError


def install_edited(
    new: ManifestFile, old: ManifestFile, indexes: Sequence[int], settings: Settings
) -> int:
    """Install the entries at these indexes of a manifest that was written; return the exit code.

    The old manifest is written again if they cannot be installed, or if that is stopped.
    """
    from envy.cli.sync import report_sync, run_sync

    queries = [shown_key(new.entries[index]) for index in indexes]
    with _restored(new, old, settings) as outcome:
        result = run_sync(settings, queries, time.monotonic(), as_json=False, asks=False)
        outcome.code = report_sync(result, settings)
    return outcome.code


@dataclass(slots=True)
class _Outcome:
    """The exit code of an install; 1 until it is known."""

    code: int = 1


@contextlib.contextmanager
def _restored(new: ManifestFile, old: ManifestFile, settings: Settings) -> Iterator[_Outcome]:
    outcome = _Outcome()
    try:
        yield outcome
    finally:
        if outcome.code and new.content != old.content:
            with contextlib.suppress(EnvyError):  # somebody has changed it meanwhile
                write_manifest(old.path, old.content, before=new.content)
                tell(settings, f"{shown_path(old.path)} is as it was; --no-install keeps an entry")
