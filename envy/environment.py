"""The environment of this process, as one snapshot. The only module that reads it."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """A snapshot of this process's environment variables."""
    return dict(os.environ)
