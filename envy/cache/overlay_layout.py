"""A layout for reading a cache without writing to it: a plan fetches recipes to another folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from envy.cache.layout import CacheLayout


@dataclass(frozen=True, slots=True)
class OverlayLayout(CacheLayout):
    """The paths of a cache, with recipe files, locks and logs below `scratch`.

    Entries keep their paths: a plan looks them up and builds none.
    """

    scratch: Path

    def recipes_dir(self, identity: str, source_hash: str) -> Path:
        """Return the folder of the recipe files from one source, copied from the cache if there."""
        own = CacheLayout(self.scratch).recipes_dir(identity, source_hash)
        known = CacheLayout.recipes_dir(self, identity, source_hash)
        if known.is_dir() and not own.exists():
            try:
                shutil.copytree(known, own, symlinks=True)
            except (OSError, shutil.Error):
                # A concurrent gc may remove the folder; then the recipe is fetched.
                shutil.rmtree(own, ignore_errors=True)
        return own

    def recipe_folders(self, identity: str, prefix: str) -> list[str]:
        """Return the names of folders that are in the cache or in scratch."""
        own = CacheLayout(self.scratch).recipe_folders(identity, prefix)
        known = CacheLayout(self.root).recipe_folders(identity, prefix)
        return sorted({*own, *known})

    def log_root(self, identity: str, key16: str) -> Path:
        """Return the folder of the logs of all attempts at a key."""
        return CacheLayout(self.scratch).log_root(identity, key16)

    def lock_path(self, identity: str, key16: str) -> Path:
        """Return the lock file of a recipe that is being fetched."""
        return CacheLayout(self.scratch).lock_path(identity, key16)

    def exclusive_lock_path(self, name: str) -> Path:
        """Return the lock file for `exclusive = name`."""
        return CacheLayout(self.scratch).exclusive_lock_path(name)

    def shared_lock_path(self, name: str) -> Path:
        """Return the lock file of an operation on the whole cache; no other process uses it."""
        return CacheLayout(self.scratch).shared_lock_path(name)

    @property
    def leases_root(self) -> Path:
        """The folder of leases; a plan uses no package, so they protect nothing."""
        return CacheLayout(self.scratch).leases_root
