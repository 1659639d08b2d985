"""Recipe files that were fetched: whether they are there, and that they stay while they are used.

Guarantees
  Files that were found stay for a day at least: gc goes by the time of their folder, which is set
  anew, under the gate that gc takes too, whenever it is older than an hour.
  A cache that cannot be written to can be used all the same.
"""

import os
import stat
import time
from pathlib import Path

from envy.cache.layout import RECIPES, CacheLayout
from envy.cache.lease import gate
from envy.cache.usage import FRESH
from envy.errors import CacheError


def use_recipe_files(layout: CacheLayout, folder: Path) -> bool:
    """Whether the files of a recipe are in this folder; if so, they are in use from now on."""
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
        return False  # gc was quicker
    except (OSError, CacheError):
        return folder.is_dir()
    return True


def name_of(layout: CacheLayout, path: Path) -> str:
    """What leases call the folder that a recipe file is kept in; "" for one that is not."""
    try:
        identity, folder, *_ = path.relative_to(layout.recipes_root).parts
    except ValueError:
        return ""
    return f"{RECIPES}/{identity}/{folder}"
