"""The result of a sync as plain data, for `envy sync --json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envy.errors import Cancelled, DependencyFailed, PhaseFailed, RecipeError

if TYPE_CHECKING:
    from envy.console.summary import SyncResult
    from envy.engine.goals import Result


def sync_document(results: Sequence[Result], summary: SyncResult) -> dict[str, object]:
    """Return the outcome of a run, its counts, and a row for each wanted package in key order."""
    if summary.cancelled:
        outcome = "cancelled"
    else:
        outcome = "failed" if summary.failures else "complete"
    return {
        "outcome": outcome,
        "seconds": round(summary.seconds, 3),
        "packages": [_row(result) for result in results],
    }


def _row(result: Result) -> dict[str, object]:
    failure, folder = result.failure, result.asset_dir
    is_there = result.outcome is not None and folder is not None
    log = failure.log_path if isinstance(failure, PhaseFailed) else None
    return {
        "key": result.key.canonical,
        "outcome": _outcome(result),
        "user_managed": result.user_managed,
        "asset_dir": str(folder) if is_there else None,
        "phase": failure.phase if isinstance(failure, RecipeError) else None,
        "error": str(failure) if failure is not None else None,
        "log": str(log) if log is not None else None,
    }


def _outcome(result: Result) -> str:
    if result.outcome is not None:
        return result.outcome.value
    if isinstance(result.failure, DependencyFailed):
        return "not built"
    if result.failure is None or isinstance(result.failure, Cancelled):
        return "cancelled"
    return "failed"
