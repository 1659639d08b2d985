"""Where a region can be drawn again and again; apart, for commands that have no events."""

from collections.abc import Mapping
from typing import TextIO


def can_draw(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal on which a region can be redrawn, and a person looks.

    A service that runs builds (it sets CI) shows a log, which a redrawn region would fill.
    """
    if environment.get("CI", "").lower() not in {"", "0", "false"}:
        return False
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return stream.isatty() and encoding.startswith("utf") and environment.get("TERM", "?") != "dumb"
