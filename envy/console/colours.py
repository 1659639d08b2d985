"""Whether a stream is shown in colours. Loaded by commands that load little else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


def has_colours(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream is shown in colours.

    NO_COLOR refuses them and FORCE_COLOR demands them, even in a pipe; otherwise a terminal that is
    not dumb has them. A variable that is empty counts as not set, as does FORCE_COLOR=0.
    """
    if environment.get("NO_COLOR"):
        return False
    forced = environment.get("FORCE_COLOR", "")
    if forced:
        return forced.lower() not in {"0", "false", "no"}
    return stream.isatty() and environment.get("TERM", "?") != "dumb"
