"""Fetched recipe files: whether they exist, and protection from gc while they are used.

Guarantees
  Files that were found stay for at least a day: gc decides by the time of their folder, which is
  renewed whenever it is older than an hour, under the gate that gc holds, too.
  A cache that cannot be written to can still be used.
"""

import os
import stat
import time
from pathlib import Path

from envy.cache.layout import CacheLayout
from envy.cache.lease import gate
from envy.cache.names import RECIPES_FOLDER
from envy.cache.usage import FRESH
from envy.errors import CacheError


def find_recipe_files(layout: CacheLayout, folder: Path) -> bool:
    """Return whether a recipe's files are in this folder; if so, note that they are used now."""
    try:
        status = os.stat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    if 0 <= time.time() - status.st_mtime < FRESH:
        return True
    try:
        with gate(layout):
            os.utime(folder)
    except FileNotFoundError:
        return False  # gc has just removed it
    except (OSError, CacheError):
        return folder.is_dir()
    return True


def lease_name(layout: CacheLayout, path: Path) -> str:
    """Return the name that leases give to a recipe file's folder; "" outside of the cache."""
    try:
        identity, folder, *_ = path.relative_to(layout.recipes_root).parts
    except ValueError:
        return ""
    return f"{RECIPES_FOLDER}/{identity}/{folder}"
