"""Where the user-wide cache is."""

from pathlib import Path

from envy.cli.settings import Settings
from envy.errors import CacheError


def cache_root(settings: Settings) -> Path:
    """The root of the user-wide cache, absolute; `--cache-root`, else the user's cache folder."""
    if settings.cache_root is not None:
        return settings.cache_root
    from platformdirs import user_cache_path

    root = user_cache_path("envy", appauthor=False)
    if not root.is_absolute():
        raise CacheError(
            f"the user's cache folder is {root}, which is not absolute",
            path=root,
            hint="set HOME, or say where with --cache-root or ENVY_CACHE_ROOT",
        )
    return root
