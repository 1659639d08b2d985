"""The environment variables of this process. The only module that reads or sets them."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """Return a snapshot of the environment variables."""
    return dict(os.environ)


def set_for_libraries(name: str, value: str) -> None:
    """Set a variable for C libraries in this process that read it; children do not get it."""
    os.putenv(name, value)
