"""The end of a run: the final line, and every failure once.

Pure functions of plain results; nothing is printed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from envy.console.text import format_seconds, safe_lines
from envy.errors import DependencyFailed, PhaseFailed, RecipeError

# Of more packages than this that a failure stopped, only the first are listed.
_MOST_DEPENDENTS = 25
_SHOWN_DEPENDENTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The outcome of the requested packages and their dependencies."""

    packages: int
    user_managed: int = 0  # of the packages
    cached: int = 0
    taken: int = 0  # from depots and remote caches
    installed: int = 0
    unconfirmed: int = 0  # user-managed, installed, but their check still does not hold
    failures: Sequence[RecipeError] = ()
    stopped: int = 0  # packages left unfinished at the end of the run
    cancelled: bool = False
    seconds: float = 0.0


def final_line(result: SyncResult, *, command: str = "sync") -> str:
    """Return the last line: `sync complete: 5 packages, 0 failed (3 cached) in 12.4s`."""
    roots, dependents = _split(result.failures)
    if result.cancelled:
        outcome = "cancelled"
    else:
        outcome = "failed" if result.failures else "complete"
    parts = [f"{result.packages} package" + ("" if result.packages == 1 else "s")]
    if result.user_managed:
        unconfirmed = f" ({result.unconfirmed} unconfirmed)" if result.unconfirmed else ""
        parts.append(f"{result.user_managed} user-managed{unconfirmed}")
    parts.append(f"{len(roots)} failed")
    if dependents or result.stopped:
        parts.append(f"{len(dependents) + result.stopped} not built")
    found = f"{result.cached} cached"
    if result.taken:
        found += f", {result.taken} taken"
    if result.installed:
        found += f", {result.installed} installed"
    took = format_seconds(result.seconds)
    return f"{command} {outcome}: {', '.join(parts)} ({found}) in {took}"


def failure_lines(failures: Sequence[RecipeError], *, word: str = "error") -> list[str]:
    """Return each root failure in full, then a line for each recipe that it stopped.

    Of a long list of these, the first few are shown with the number of the others.

    A reason that several recipes share, such as a full disk, is reported once.
    """
    roots, dependents = _split(failures)
    lines: list[str] = []
    told: dict[str, str] = {}
    for root in roots:
        reason = "\n".join(root.reason) if isinstance(root, PhaseFailed) else str(root)
        first = told.setdefault(reason, root.key)
        if first == root.key or getattr(root, "log_path", None):
            lines += safe_lines(f"{word}: {root}")
        else:
            lines += safe_lines(f"{word}: {root.key}: {root.phase} failed, as {first} did")
    shown = dependents if len(dependents) <= _MOST_DEPENDENTS else dependents[:_SHOWN_DEPENDENTS]
    for dependent in shown:
        lines += safe_lines(dependent.message.partition("\n")[0])
    if len(shown) < len(dependents):
        lines.append(f"and {len(dependents) - len(shown)} more packages were not built")
    return lines


def _split(failures: Sequence[RecipeError]) -> tuple[list[RecipeError], list[RecipeError]]:
    """Return root failures, and the failures they caused, each once and in key order."""
    once = {(type(failure), failure.key, failure.phase): failure for failure in failures}
    ordered = sorted(once.values(), key=lambda failure: (failure.key, failure.phase))
    return (
        [failure for failure in ordered if not isinstance(failure, DependencyFailed)],
        [failure for failure in ordered if isinstance(failure, DependencyFailed)],
    )
