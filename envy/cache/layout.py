"""Where everything in the cache is: pure names, no input or output.

    <root>/
      recipes/<identity>/<source hash>/
      assets/<identity>/<platform>-<arch>-blake3-<16 hex>/   an entry, see EntryPaths
      logs/<identity>/<key16>/<stamp>/
      locks/<identity>-<key16>.lock
      locks/exclusive/<name>.lock
      locks/cache/<name>.lock                                  what the whole cache is locked for
      projects/<project>/<set>.json                            what the syncs of a project used
      resolved/<manifest>.answer                               what a manifest came to
      durations/<project>.json                                 how long its packages took
      shims/<programs>/                                        links for products run by their names
      test/                                                    what `envy test` keeps
      leases/<process>.json, .lock                             what running commands rely upon
      jobservers/<command>                                     FIFOs of commands that run scripts
      trash/                                                   what is being removed

This is the one place where an identity becomes part of a path, so it is also where one that could
leave its directory is stopped, whoever let it through.
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
    SHARED_FOLDER,
    STAGE,
    TMP,
    TRASH_FOLDER,
    WORK,
    entry_folder,
    lock_file,
    short_key,
)
from envy.errors import InternalError

_PART = re.compile(r"[A-Za-z0-9_+@-][A-Za-z0-9_+@.-]*")


@dataclass(frozen=True, slots=True)
class EntryPaths:
    """An entry of the cache. Only text is held: thousands are made, and few of the paths asked."""

    root: str
    location: str

    def at(self, name: str) -> str:
        """Where `name`, one of the constants of this module, is in this entry."""
        return f"{self.location}{os.sep}{name}"

    @property
    def directory(self) -> Path:
        return Path(self.location)

    @property
    def name(self) -> str:
        """`<identity>/<folder>`: what the entry is called in records, under whatever root."""
        above, folder = os.path.split(self.location)
        return f"{os.path.basename(above)}/{folder}"

    @property
    def marker(self) -> Path:
        """Written last: while it is missing, nothing here may be relied upon."""
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
        """The payload, made at its final path."""
        return Path(self.at(ASSET))

    @property
    def fetch_dir(self) -> Path:
        """Downloads: they survive a failed attempt."""
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
    """Names below one cache root, which is always absolute."""

    root: Path

    def __post_init__(self) -> None:
        if not self.root.is_absolute():
            raise InternalError(f"the cache root {self.root} is not absolute")

    def recipes_dir(self, identity: str, source_hash: str) -> Path:
        """Where the recipe file fetched from one source is kept."""
        return Path(f"{self.root}", RECIPES_FOLDER, _part(identity), _part(source_hash))

    @property
    def recipes_root(self) -> Path:
        """Where the recipe files that were fetched are."""
        return Path(f"{self.root}", RECIPES_FOLDER)

    def entry(self, identity: str, platform_arch: str, key_hex: str) -> EntryPaths:
        """The entry of a key; `platform_arch` is such as `linux-x86_64`."""
        root = str(self.root)
        name = _part(entry_folder(platform_arch, key_hex))
        return EntryPaths(root, os.path.join(root, ASSETS_FOLDER, _part(identity), name))

    def log_root(self, identity: str, key16: str) -> Path:
        """Where the logs of all attempts at one key are."""
        return Path(f"{self.root}", LOGS_FOLDER, _part(identity), _part(key16))

    def log_dir(self, identity: str, key16: str, stamp: str) -> Path:
        """Where the logs of one attempt are; stamps sort as the attempts did."""
        return self.log_root(identity, key16) / _part(stamp)

    def lock_path(self, identity: str, key16: str) -> Path:
        """The lock of an entry, or of a recipe that is being fetched."""
        name = lock_file(_part(identity), _part(key16))
        return Path(f"{self.root}", LOCKS_FOLDER, name)

    def exclusive_lock_path(self, name: str) -> Path:
        """The lock behind `exclusive = name`, a name that a recipe author chose freely."""
        if not _PART.fullmatch(name) or len(name) > 100 or name != name.lower():
            # Upper case too: two names may be one on file systems that do not tell case apart.
            name = f"+{blake3(name.encode('utf-8', 'surrogateescape')).hexdigest()}"
        return Path(f"{self.root}", LOCKS_FOLDER, EXCLUSIVE_FOLDER, f"{name}{LOCK}")

    def shared_lock_path(self, name: str) -> Path:
        """The lock of something that concerns the whole cache."""
        return Path(f"{self.root}", LOCKS_FOLDER, SHARED_FOLDER, f"{_part(name)}{LOCK}")

    @property
    def locks_root(self) -> Path:
        """Where all locks are."""
        return Path(f"{self.root}", LOCKS_FOLDER)

    @property
    def logs_root(self) -> Path:
        """Where the logs of all attempts are."""
        return Path(f"{self.root}", LOGS_FOLDER)

    @property
    def assets_root(self) -> Path:
        """Where all entries are."""
        return Path(f"{self.root}", ASSETS_FOLDER)

    @property
    def projects_root(self) -> Path:
        """Where it is recorded which project used what."""
        return Path(f"{self.root}", PROJECTS_FOLDER)

    @property
    def answers_root(self) -> Path:
        """Where it is kept what manifests came to."""
        return Path(f"{self.root}", ANSWERS_FOLDER)

    @property
    def durations_root(self) -> Path:
        """Where it is remembered how long packages took."""
        return Path(f"{self.root}", DURATIONS_FOLDER)

    @property
    def leases_root(self) -> Path:
        """Where running commands say what they rely upon."""
        return Path(f"{self.root}", LEASES_FOLDER)

    @property
    def jobservers_root(self) -> Path:
        """Where commands have the FIFOs through which their scripts share jobs."""
        return Path(f"{self.root}", JOBSERVERS_FOLDER)

    @property
    def trash_root(self) -> Path:
        """Where things go that are being removed: nothing in it is of any use."""
        return Path(f"{self.root}", TRASH_FOLDER)

    def entry_called(self, name: str) -> EntryPaths:
        """The entry of a name such as EntryPaths.name gives."""
        identity, _, folder = name.partition("/")
        root = str(self.root)
        return EntryPaths(root, os.path.join(root, ASSETS_FOLDER, _part(identity), _part(folder)))

    def lock_of(self, entry: EntryPaths) -> Path:
        """The lock of an entry, found by its place."""
        identity, _, folder = entry.name.partition("/")
        return self.lock_path(identity, short_key(folder))


def _part(text: str) -> str:
    if not _PART.fullmatch(text):
        raise InternalError(f"{text!r} cannot be part of a path in the cache")
    return text
