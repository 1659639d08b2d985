"""The line that shows how far one command is: amount, rate, and the time that is left.

Pure: `cli/progress_line` draws it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from envy.console.text import cell_width, clip, format_clock, format_part, format_size

_RATE_SECONDS = 5.0
_LEAST_NAME = 12  # cells


class RateMeter:
    """The bytes per second of the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def rate(self, done: int, now: float) -> float:
        """Note how much is done now, and return the rate; 0.0 while too little is known."""
        samples = self._samples
        if samples and done < samples[-1][1]:
            samples.clear()  # something else begins
        samples.append((now, done))
        while len(samples) > 2 and samples[1][0] < now - _RATE_SECONDS:
            samples.popleft()
        seconds = now - samples[0][0]
        return (done - samples[0][1]) / seconds if seconds >= 0.5 else 0.0


def transfer_line(
    action: str, name: str, *, done: int, total: int, rate: float, width: int, more: str = ""
) -> str:
    """Return `fetching tool.tar.gz  45.5 of 225 MiB  12 MiB/s  ~0:14`, cut to a width.

    The total is 0 if it is unknown. The name is cut first, and then left out.
    """
    amount = format_part(done, total) if total > 0 else format_size(done) if done else ""
    speed = f"{format_size(rate, short=True)}/s" if rate else ""
    left = f"~{format_clock((total - done) / rate + 0.5)}" if rate and total > done else ""
    facts = [fact for fact in (amount, more, speed, left) if fact]
    free = width - 1 - cell_width("  ".join([action, *facts])) - 1
    if free >= min(_LEAST_NAME, cell_width(name)):
        action = f"{action} {clip(name, free)}"
    return _fitting([action, *facts], width - 1)


def _fitting(parts: Sequence[str], width: int) -> str:
    """Return the parts that fit; the last of them are left out first."""
    kept = list(parts)
    while len(kept) > 1 and cell_width("  ".join(kept)) > width:
        kept.pop()
    return clip("  ".join(kept), width)
