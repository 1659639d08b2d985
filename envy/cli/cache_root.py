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

    try:
        root = user_cache_path("envy", appauthor=False)
    except (RuntimeError, KeyError):
        # This user has no entry in the password database either, as in many containers.
        raise _no_cache_folder(
            "HOME is not set to an absolute path, so this user has no cache folder", Path()
        ) from None
    if not root.is_absolute():
        raise _no_cache_folder(f"the user's cache folder, {root}, is not an absolute path", root)
    return root


def chosen_root(settings: Settings) -> str:
    """Return the root that only `--cache-root` names; "" if envy finds it without the option."""
    root = settings.cache_root
    if root is None or str(root) == settings.environment.get("ENVY_CACHE_ROOT"):
        return ""
    return str(root)


def _no_cache_folder(reason: str, path: Path) -> CacheError:
    hint = "set HOME, or choose a folder with --cache-root or ENVY_CACHE_ROOT"
    return CacheError(reason, path=path, hint=hint)
