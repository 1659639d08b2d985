"""Waiting until a file below a folder changes, with watchfiles (the extra `watch`).

Guarantees
  A change made while tests run is not lost: watching goes on from `Watcher` to `close`.
  `stop` ends a wait within a tenth of a second, from any thread.
  Nothing is imported, and no thread starts, before a `Watcher` is created.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from envy.errors import UsageError
from envy.extras import missing_extra

if TYPE_CHECKING:
    from watchfiles.main import FileChange

_QUIET = 100  # milliseconds without a change, so that a checkout is one change
_LONGEST = 60_000  # milliseconds after which changes that do not end are reported all the same
_LEFT_OUT = frozenset({".git", ".hg", "node_modules"})
_ATTEMPTS = 5  # at a tree whose folders come and go while it is being read
# Elsewhere the system watches whole trees. Linux watches single folders, and watchfiles' own
# recursion would follow links out of the tree and spend watches on folders that are left out.
_SINGLE_FOLDERS = sys.platform == "linux"


class Watcher:
    """Watches a tree of folders."""

    def __init__(self, root: Path) -> None:
        """Start watching.

        Raises:
            UsageError: watchfiles is not installed, or the system allows no more watches.
        """
        self._root = os.path.realpath(root)
        self._stopped = threading.Event()
        self._folders: list[str] = []
        self._changes = self._start()

    def wait(self) -> bool:
        """Block until a file has changed and the tree is quiet again; return False when stopped."""
        folders_changed = False
        for changes in self._changes:
            paths = [path for _, path in changes]
            folders_changed = folders_changed or any(self._is_folder(path) for path in paths)
            if any(self._counts(path) for path in paths):
                if folders_changed and _SINGLE_FOLDERS:
                    # The run that follows sees any change between these two calls.
                    self._changes.close()
                    self._changes = self._start()
                return True
        return False

    def stop(self) -> None:
        """End the current wait, or the next one."""
        self._stopped.set()

    def close(self) -> None:
        """Stop watching and release the system's resources."""
        self._changes.close()

    def _start(self) -> Generator[set[FileChange], None, None]:
        """Watch every folder that exists now."""
        for attempt in range(1, _ATTEMPTS + 1):
            self._folders = self._find_folders()
            try:
                changes = _open_changes(self._folders, self._stopped)
            except FileNotFoundError:
                continue
            # A folder created before its parent was watched would go unnoticed.
            if attempt == _ATTEMPTS or self._find_folders() == self._folders:
                return changes
            changes.close()
        raise UsageError(f"--watch: folders of {self._root} vanish while they are being read")

    def _find_folders(self) -> list[str]:
        if not _SINGLE_FOLDERS:
            return [self._root]
        found = []
        for folder, names, _files in os.walk(self._root):
            names[:] = sorted(name for name in names if name not in _LEFT_OUT)
            found.append(folder)
        return found

    def _is_folder(self, path: str) -> bool:
        return path in self._folders or Path(path).is_dir()

    def _counts(self, path: str) -> bool:
        """Return whether a change of this path can change the result of a test."""
        parts = Path(path).relative_to(self._root).parts
        if not parts or not _LEFT_OUT.isdisjoint(parts):
            return False
        name = parts[-1]
        # Files that editors write for themselves.
        return not name.endswith(("~", ".swp", ".swx", ".tmp")) and name != "4913"


def _open_changes(
    folders: list[str], stopped: threading.Event
) -> Generator[set[FileChange], None, None]:
    """Watch these folders from now on, and yield what changes in them."""
    try:
        from watchfiles import watch
    except ImportError as error:
        raise missing_extra("--watch", "watchfiles", "watch") from error

    changes = watch(
        *folders,
        watch_filter=None,
        debounce=_LONGEST,
        step=_QUIET,
        stop_event=stopped,
        rust_timeout=_QUIET,
        yield_on_timeout=True,
        recursive=not _SINGLE_FOLDERS,
    )
    try:
        next(changes, None)  # watching starts at the first step; without a change it takes _QUIET
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:
        raise UsageError(f"--watch: {error}") from error
    return changes
