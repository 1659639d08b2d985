"""How far the tests of one process have come, as far as its output has told."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """The tests that have started, those that are running, and how each ended."""

    active: dict[str, float] = field(default_factory=dict)  # by name, since when
    open: dict[str, None] = field(default_factory=dict)  # started and not ended, paused included
    ended: dict[str, str] = field(default_factory=dict)  # the last outcome of each
    ends: dict[str, int] = field(default_factory=dict)  # how often each ended
    last_change: float = 0.0
    summary: str = ""  # the last PASS or FAIL of the binary
    died_in: str = ""  # the top-level test that failed last, if no framing followed

    def is_over(self, name: str) -> bool:
        """Return whether a test has ended and not started again: it cannot end once more."""
        return name in self.ended and name not in self.open
