"""A cache that is read and never written: what a plan must fetch to be made goes elsewhere."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from envy.cache.layout import CacheLayout


@dataclass(frozen=True, slots=True)
class OverlayLayout(CacheLayout):
    """The names of a cache, with recipe files, locks and logs below `scratch`.

    Entries keep their places: they are looked up there, and whoever plans makes none.
    """

    scratch: Path

    def recipes_dir(self, identity: str, source_hash: str) -> Path:
        """A recipe file of the cache is copied when it is asked for: it may be fetched anew."""
        own = CacheLayout(self.scratch).recipes_dir(identity, source_hash)
        known = CacheLayout.recipes_dir(self, identity, source_hash)
        if known.is_dir() and not own.exists():
            try:
                shutil.copytree(known, own, symlinks=True)
            except (OSError, shutil.Error):
                # A gc may remove it meanwhile; then it is fetched.
                shutil.rmtree(own, ignore_errors=True)
        return own

    def log_root(self, identity: str, key16: str) -> Path:
        """Where the logs of all attempts at one key are."""
        return CacheLayout(self.scratch).log_root(identity, key16)

    def lock_path(self, identity: str, key16: str) -> Path:
        """The lock of a recipe that is being fetched."""
        return CacheLayout(self.scratch).lock_path(identity, key16)

    def exclusive_lock_path(self, name: str) -> Path:
        """The lock behind `exclusive = name`."""
        return CacheLayout(self.scratch).exclusive_lock_path(name)

    def shared_lock_path(self, name: str) -> Path:
        """The lock of something that concerns the whole cache, which nobody else looks at."""
        return CacheLayout(self.scratch).shared_lock_path(name)

    @property
    def leases_root(self) -> Path:
        """Nothing is relied upon: whoever plans uses no package."""
        return CacheLayout(self.scratch).leases_root
