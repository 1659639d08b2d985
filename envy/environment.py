"""The environment variables of this process. The only module that reads them."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """Return a snapshot of the environment variables."""
    return dict(os.environ)
