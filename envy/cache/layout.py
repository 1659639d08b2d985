"""The paths of everything in the cache, computed without input or output.

    <root>/
      recipes/<identity>/<source hash>/
      assets/<identity>/<platform>-<arch>-blake3-<16 hex>/   an entry, see EntryPaths
      logs/<identity>/<key16>/<stamp>/
      locks/<identity>-<key16>.lock
      locks/exclusive/<name>.lock
      locks/cache/<name>.lock                                  locks of the whole cache
      projects/<project>/<set>.json                            entries that a project's syncs used
      resolved/<manifest>.answer                               the resolved graph of a manifest
      durations/<project>.json                                 durations of a project's packages
      resolutions/<manifest>.json                              what its unpinned sources were
      shims/<scripts>/                                         scripts that run or refuse programs
      test/                                                    binaries and results of `envy test`
      downloads/<algorithm>/<digest>                           downloads that were verified
      leases/<process>.json, .lock                             entries that running commands use
      jobservers/<command>                                     FIFOs of commands that run scripts
      x/<tool>/envy.lua                                        the manifests of `envy x`
      uv/                                                      the cache of uv: unpacked wheels
      trash/                                                   files that are being removed

Only this module makes an identity part of a path. It therefore rejects any identity that could
leave its directory, even one that an earlier check let through.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy.cache.names import (
    ANSWERS_FOLDER,
    ASSET,
    ASSETS_FOLDER,
    ATTEMPT,
    DEPLOYED,
    DOWNLOADS_FOLDER,
    DURATIONS_FOLDER,
    EXCLUSIVE_FOLDER,
    FETCH,
    FINGERPRINT,
    INGREDIENTS,
    JOBSERVERS_FOLDER,
    LEASES_FOLDER,
    LOCK,
    LOCKS_FOLDER,
    LOGS_FOLDER,
    MARKER,
    PROJECTS_FOLDER,
    RECIPES_FOLDER,
    RESOLUTIONS_FOLDER,
    SHARED_FOLDER,
    STAGE,
    TMP,
    TRASH_FOLDER,
    UV_FOLDER,
    WORK,
    entry_folder,
    lock_file,
    short_key,
)
from envy.errors import InternalError

_PART = re.compile(r"[A-Za-z0-9_+@-][A-Za-z0-9_+@.-]*")


@dataclass(frozen=True, slots=True)
class EntryPaths:
    """The paths of an entry, computed on demand: thousands are created, and few paths are used."""

    root: str
    location: str

    def at(self, name: str) -> str:
        """Return the path of `name`, a constant of `names`, in this entry."""
        return f"{self.location}{os.sep}{name}"

    @property
    def directory(self) -> Path:
        return Path(self.location)

    @property
    def name(self) -> str:
        """`<identity>/<folder>`: the entry's name in records, independent of the root."""
        above, folder = os.path.split(self.location)
        return f"{os.path.basename(above)}/{folder}"

    @property
    def marker(self) -> Path:
        """The marker, written last: without it, nothing in the entry is valid."""
        return Path(self.at(MARKER))

    @property
    def fingerprint(self) -> Path:
        return Path(self.at(FINGERPRINT))

    @property
    def ingredients(self) -> Path:
        return Path(self.at(INGREDIENTS))

    @property
    def deploy_record(self) -> Path:
        return Path(self.at(DEPLOYED))

    @property
    def asset_dir(self) -> Path:
        """The payload, built at its final path."""
        return Path(self.at(ASSET))

    @property
    def fetch_dir(self) -> Path:
        """Downloads, which survive a failed attempt."""
        return Path(self.at(FETCH))

    @property
    def work_dir(self) -> Path:
        return Path(self.at(WORK))

    @property
    def stage_dir(self) -> Path:
        return Path(self.at(STAGE))

    @property
    def tmp_dir(self) -> Path:
        return Path(self.at(TMP))

    @property
    def attempt(self) -> Path:
        return Path(self.at(ATTEMPT))


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """The paths below a cache root, which is always absolute."""

    root: Path

    def __post_init__(self) -> None:
        if not self.root.is_absolute():
            raise InternalError(f"the cache root {self.root} is not absolute")

    def recipes_dir(self, identity: str, source_hash: str) -> Path:
        """Return the folder of the recipe files from one source."""
        return Path(f"{self.root}", RECIPES_FOLDER, _part(identity), _part(source_hash))

    def recipe_folders(self, identity: str, prefix: str) -> list[str]:
        """Return the sorted names of the folders of recipe files that begin with `prefix`."""
        folder = self.recipes_dir(identity, prefix).parent
        return sorted(path.name for path in folder.glob(f"{prefix}*"))

    @property
    def recipes_root(self) -> Path:
        """The folder of all fetched recipe files."""
        return Path(f"{self.root}", RECIPES_FOLDER)

    def entry(self, identity: str, platform_arch: str, key_hex: str) -> EntryPaths:
        """Return the entry of a key; an example of `platform_arch` is `linux-x86_64`."""
        root = str(self.root)
        name = _part(entry_folder(platform_arch, key_hex))
        return EntryPaths(root, os.path.join(root, ASSETS_FOLDER, _part(identity), name))

    def log_root(self, identity: str, key16: str) -> Path:
        """Return the folder of the logs of all attempts at a key."""
        return Path(f"{self.root}", LOGS_FOLDER, _part(identity), _part(key16))

    def log_dir(self, identity: str, key16: str, stamp: str) -> Path:
        """Return the folder of the logs of one attempt; stamps sort by time."""
        return self.log_root(identity, key16) / _part(stamp)

    def lock_path(self, identity: str, key16: str) -> Path:
        """Return the lock file of an entry, or of a recipe that is being fetched."""
        name = lock_file(_part(identity), _part(key16))
        return Path(f"{self.root}", LOCKS_FOLDER, name)

    def exclusive_lock_path(self, name: str) -> Path:
        """Return the lock file for `exclusive = name`, where the name is any text."""
        if not _PART.fullmatch(name) or len(name) > 100 or name != name.lower():
            # Upper case too: some file systems ignore case, and would make two names one.
            name = f"+{blake3(name.encode('utf-8', 'surrogateescape')).hexdigest()}"
        return Path(f"{self.root}", LOCKS_FOLDER, EXCLUSIVE_FOLDER, f"{name}{LOCK}")

    def shared_lock_path(self, name: str) -> Path:
        """Return the lock file of an operation on the whole cache."""
        return Path(f"{self.root}", LOCKS_FOLDER, SHARED_FOLDER, f"{_part(name)}{LOCK}")

    @property
    def locks_root(self) -> Path:
        """The folder of all lock files."""
        return Path(f"{self.root}", LOCKS_FOLDER)

    @property
    def logs_root(self) -> Path:
        """The folder of all logs."""
        return Path(f"{self.root}", LOGS_FOLDER)

    @property
    def assets_root(self) -> Path:
        """The folder of all entries."""
        return Path(f"{self.root}", ASSETS_FOLDER)

    @property
    def projects_root(self) -> Path:
        """The folder of the records of which project used which entries."""
        return Path(f"{self.root}", PROJECTS_FOLDER)

    @property
    def answers_root(self) -> Path:
        """The folder of the answers: the resolved graphs of manifests."""
        return Path(f"{self.root}", ANSWERS_FOLDER)

    @property
    def durations_root(self) -> Path:
        """The folder of the durations of packages."""
        return Path(f"{self.root}", DURATIONS_FOLDER)

    @property
    def resolutions_root(self) -> Path:
        """The folder of the last resolutions of unpinned sources."""
        return Path(f"{self.root}", RESOLUTIONS_FOLDER)

    @property
    def downloads_root(self) -> Path:
        """The folder of the downloads that were verified."""
        return Path(f"{self.root}", DOWNLOADS_FOLDER)

    @property
    def uv_root(self) -> Path:
        """The folder of uv's cache, with the unpacked wheels that payloads share."""
        return Path(f"{self.root}", UV_FOLDER)

    @property
    def leases_root(self) -> Path:
        """The folder of the leases of running commands."""
        return Path(f"{self.root}", LEASES_FOLDER)

    @property
    def jobservers_root(self) -> Path:
        """The folder of the FIFOs through which scripts share jobs."""
        return Path(f"{self.root}", JOBSERVERS_FOLDER)

    @property
    def trash_root(self) -> Path:
        """The folder that removed files are moved to; nothing in it is needed."""
        return Path(f"{self.root}", TRASH_FOLDER)

    def entry_called(self, name: str) -> EntryPaths:
        """Return the entry with a name as EntryPaths.name returns it."""
        identity, _, folder = name.partition("/")
        root = str(self.root)
        return EntryPaths(root, os.path.join(root, ASSETS_FOLDER, _part(identity), _part(folder)))

    def lock_of(self, entry: EntryPaths) -> Path:
        """Return the lock file of an entry."""
        identity, _, folder = entry.name.partition("/")
        return self.lock_path(identity, short_key(folder))


def _part(text: str) -> str:
    if not _PART.fullmatch(text):
        raise InternalError(f"{text!r} cannot be part of a path in the cache")
    return text
