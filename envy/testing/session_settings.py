"""What one session of `envy test` does."""

from __future__ import annotations

from dataclasses import dataclass, field

from envy.testing.affected import ChangedOnly
from envy.testing.package import RunSettings
from envy.testing.remote.tests import RemoteTests
from envy.testing.result_cache import ResultCache
from envy.testing.selection import Selector
from envy.testing.shared.results import SharedResults


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a session does: the selected tests, how they run, and when to stop."""

    selector: Selector = field(default_factory=Selector)
    run: RunSettings = field(default_factory=RunSettings)
    jobs: int = 1
    build_only: bool = False
    stop_on_build_error: bool = False
    measures_coverage: bool = False
    min_coverage: float = 0.0  # per cent
    notes: tuple[str, ...] = ()  # about the options, for readers
    results: ResultCache | None = None  # None: results are neither kept nor shown again
    changed: ChangedOnly | None = None  # None: whatever has changed, all run
    shared: SharedResults | None = None  # with other machines
    remote: RemoteTests | None = None  # that run on a server
