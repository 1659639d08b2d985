"""The path of the user-wide cache."""

from pathlib import Path

from envy.cli.settings import Settings
from envy.errors import CacheError


def cache_root(settings: Settings) -> Path:
    """Return the absolute root of the cache: `--cache-root`, or else the user's cache folder.

    Raises:
        CacheError: neither gives an absolute path.
    """
    if settings.cache_root is not None:
        return settings.cache_root
    from platformdirs import user_cache_path

    root = user_cache_path("envy", appauthor=False)
    if not root.is_absolute():
        raise CacheError(
            f"the user's cache folder, {root}, is not an absolute path",
            path=root,
            hint="set HOME, or choose a folder with --cache-root or ENVY_CACHE_ROOT",
        )
    return root
