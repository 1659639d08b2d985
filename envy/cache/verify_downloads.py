"""Verification of the downloads that the cache keeps, each by the digest in its name."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator

from blake3 import blake3

from envy.cache.layout import CacheLayout
from envy.cache.leftovers import named_below
from envy.cache.names import DOWNLOAD_ALGORITHMS, DOWNLOAD_PATTERN
from envy.content.atomic import SUFFIX
from envy.os_errors import os_error_text

_DOWNLOAD = re.compile(DOWNLOAD_PATTERN)
_TO_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CHUNK = 1 << 20


def verify_downloads(layout: CacheLayout) -> Iterator[tuple[str, str, str]]:
    """Yield the algorithm and the digest of each kept download, and what is wrong with it or "".

    Raises:
        CacheError: a folder of downloads cannot be read.
    """
    top = str(layout.downloads_root)
    for algorithm in DOWNLOAD_ALGORITHMS:
        folder = os.path.join(top, algorithm)
        if os.path.islink(top) or os.path.islink(folder):
            continue
        for path in named_below(folder, _DOWNLOAD):
            if not path.endswith(SUFFIX):
                yield algorithm, os.path.basename(path), _damage(algorithm, path)


def _damage(algorithm: str, path: str) -> str:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return "it is not a plain file"
        with open(os.open(path, _TO_READ), "rb") as file:
            hasher = blake3() if algorithm == "blake3" else hashlib.new(algorithm)
            while data := file.read(_CHUNK):
                hasher.update(data)
    except FileNotFoundError:
        return ""  # removed in the meantime
    except OSError as error:
        return f"it cannot be read: {os_error_text(error)}"
    return "" if hasher.hexdigest() == os.path.basename(path) else "its content differs"
