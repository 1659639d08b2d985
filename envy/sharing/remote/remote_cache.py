"""A server of the Remote Execution API as a place of finished entries.

Guarantees
  The result of an entry is stored last, when the server has every blob that it names.
  An entry is published only after its key and every file were compared with its records. Whatever
  the server sends, the entry is otherwise missing, as before; a blob that is gone is a miss.
  Of the results for one key, the first stays; a later one with another payload is reported.
  A server that does not answer, or sends three damaged results, is not asked again in this run.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)

from envy.cache.filesystem import explained
from envy.cache.fingerprint import search_roots
from envy.cache.imported_entry import UnpackedEntry
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS
from envy.cache.origin import Origin
from envy.cache.read import read_marker
from envy.cache.relocate import why_not_relocatable
from envy.cache.room import why_no_room
from envy.cache.take_entry import take_entry
from envy.cache.verify import RecordedFingerprint, parse_fingerprint
from envy.content.below_root import open_below
from envy.content.plain_file import NotPlain, read_plain
from envy.content.written_digests import WrittenDigests
from envy.errors import ArchiveError, CacheError, Cancelled, EnvyError
from envy.limits import EXPORT_RECORD
from envy.sharing.place import OtherPayload, Signer, Taken, differing_paths
from envy.sharing.remote.blobs import Blobs, WrongBlob, pieces_of_file
from envy.sharing.remote.messages import NO_FOLDER, digest_of, encoded, entry_action
from envy.sharing.remote.payload_tree import payload_tree, tree_members
from envy.sharing.remote.server import Refused, RemoteServer
from envy.sharing.remote.tree_writing import write_tree
from envy.transport.context import FetchContext, NoAnswer, NotFound

_MOST_DAMAGED = 3


class RemoteCache:
    """The cache of a server in use by one command; it may be called from several threads."""

    def __init__(self, server: RemoteServer, *, writes: bool) -> None:
        self.shown = server.shown
        self.writes = writes
        self.takes_nothing = False
        self._server = server
        self._lock = threading.Lock()
        self._asked: dict[str, Any] = {}  # futures, by the hash of the action
        self._why_off = ""
        self._warned: set[str] = set()
        self._damaged = 0

    @property
    def is_off(self) -> bool:
        """Whether it is not asked again in this run."""
        return bool(self._why_off)

    # -- taking ------------------------------------------------------------------------------------

    def ask_ahead(self, wanted: Sequence[tuple[EntryPaths, str]], context: FetchContext) -> None:
        """Send the questions for entries all at once, on one connection."""
        try:
            self._server.capabilities()
            for entry, key_hex in wanted:
                for root in ("", entry.root):
                    action, _ = entry_action(entry, key_hex, root=root)
                    digest = digest_of(action)
                    self._asked[digest.hash] = self._begin(digest)
        except Cancelled:
            raise
        except EnvyError as error:
            self._switch_off(error, context)

    def end_asking(self) -> None:
        """Forget the answers to what was asked ahead."""
        self._asked.clear()

    def take(
        self, layout: CacheLayout, entry: EntryPaths, key_hex: str, context: FetchContext
    ) -> Taken:
        """Publish an entry from the server, if it has one that this cache can use.

        The caller holds the entry's lock, and the entry is missing. What is wrong with the server
        is a warning, and the reason of the miss.

        Raises:
            Cancelled: the run was cancelled; CacheError: this cache cannot be written.
        """
        if self._why_off:
            return Taken(missed=self._why_off)
        started = time.monotonic()
        size = 0
        try:
            missed = "it does not have it"
            for root in ("", entry.root):  # for every cache, then for caches at this path
                result = self._result(entry, key_hex, root, context)
                if result is not None:
                    sent, missed = self._take(result, layout, entry, key_hex, context)
                    size += sent
                    if not missed:
                        break
        except (Cancelled, CacheError):
            raise
        except NotFound:
            missed = "it does not have all of it any more"
        except (ArchiveError, WrongBlob) as error:
            missed = self._is_damaged(entry, error, context)
        except EnvyError as error:
            missed = self._switch_off(error, context)
        return Taken(missed=missed, size=size, seconds=time.monotonic() - started)

    def _begin(self, digest: reapi.Digest) -> Any:
        request = reapi.GetActionResultRequest(
            instance_name=self._server.instance, action_digest=digest
        )
        return self._server.begin(self._server.actions.GetActionResult, request)

    def _result(
        self, entry: EntryPaths, key_hex: str, root: str, context: FetchContext
    ) -> reapi.ActionResult | None:
        """Return the result for an entry under a root, "" for any; None if there is none."""
        self._server.capabilities()
        digest = digest_of(entry_action(entry, key_hex, root=root)[0])
        future = self._asked.pop(digest.hash, None) or self._begin(digest)
        try:
            found: reapi.ActionResult = self._server.finish(future, context.check_cancelled)
        except NotFound:
            return None
        return found

    def _take(
        self,
        result: reapi.ActionResult,
        layout: CacheLayout,
        entry: EntryPaths,
        key_hex: str,
        context: FetchContext,
    ) -> tuple[int, str]:
        """Publish an entry; return the bytes that were sent, and why it cannot be used or ""."""
        blobs = Blobs(self._server, context.check_cancelled)
        files = {row.path: row.digest for row in result.output_files}
        trees = {row.path: row.tree_digest for row in result.output_directories}
        if not {INGREDIENTS, FINGERPRINT} <= files.keys() or ASSET not in trees:
            raise ArchiveError("the result is not that of an entry", archive=Path(entry.location))
        wanted = [files[INGREDIENTS], files[FINGERPRINT], trees[ASSET]]
        for digest in wanted:
            if not 0 <= digest.size_bytes <= EXPORT_RECORD.value:
                raise ArchiveError(
                    f"a record of it is larger than {EXPORT_RECORD.shown}, the limit "
                    f"{EXPORT_RECORD.name}",
                    archive=Path(entry.location),
                    hint=EXPORT_RECORD.hint,
                )
        texts = blobs.read(wanted)
        records = {name: texts[files[name].hash] for name in (INGREDIENTS, FINGERPRINT)}
        members = list(tree_members(texts[trees[ASSET].hash], self.shown))
        fingerprint = parse_fingerprint(
            records[FINGERPRINT].decode("ascii", "replace"), most_rows=len(members)
        )
        if fingerprint is None:
            raise ArchiveError("its fingerprint is damaged", archive=Path(entry.location))
        problem = why_no_room(fingerprint, records[INGREDIENTS], entry.root)
        if problem:
            return sum(map(len, texts.values())), problem
        total = sum(member.digest.size_bytes for member in members if member.digest is not None)

        def unpack(folder: str) -> UnpackedEntry:
            unpacked = UnpackedEntry(entry.name, key_hex, fingerprint.root, folder, {}, records)
            unpacked.recorded = fingerprint
            unpacked.written = WrittenDigests(search_roots(entry.root, ()))
            unpacked.payload = open_below(os.path.join(folder, ASSET))
            unpacked.folders.add(())
            try:
                write_tree(members, unpacked, self._server, context.check_cancelled)
            except BaseException:
                unpacked.close()
                raise
            return unpacked

        problem = take_entry(
            layout,
            Path(self.shown),
            entry,
            key_hex,
            unpack=unpack,
            origin=Origin(self.shown),
            check=context.check_cancelled,
        )
        return total + sum(map(len, texts.values())), problem

    # -- storing -----------------------------------------------------------------------------------

    def push(
        self,
        entry: EntryPaths,
        context: FetchContext,
        *,
        workers: int,
        sign: Signer | None,
    ) -> int:
        """Store a complete entry; return the bytes that were sent, 0 if it was there.

        Raises:
            OtherPayload: the server has another payload for the same key.
            FetchError: it cannot be stored; CacheError: the entry cannot be read.
        """
        del workers, sign
        try:
            return self._push(entry, context)
        except NotPlain as error:
            raise CacheError(f"{entry.location}: {error}", path=entry.directory) from error
        except OSError as error:
            raise explained(error, doing="send an entry", path=entry.location) from error

    def _push(self, entry: EntryPaths, context: FetchContext) -> int:
        marker = read_marker(entry)
        if marker is None:
            raise CacheError(f"{entry.location} is incomplete", path=entry.directory)
        capabilities = self._server.capabilities().cache_capabilities
        if not capabilities.action_cache_update_capabilities.update_enabled:
            raise Refused(f"{self.shown} is read-only for this user", uri=self.shown)
        is_bound = marker.holds_root and bool(why_not_relocatable(entry))
        blobs = Blobs(self._server, context.check_cancelled)
        records = {name: _record(entry, name) for name in (INGREDIENTS, FINGERPRINT)}
        # One for every cache may have been made where the path is shorter than here.
        for root in (entry.root,) if is_bound else ("", entry.root):
            action, command = entry_action(entry, marker.key_hex, root=root)
            stored = self._stored(digest_of(action), entry, records[FINGERPRINT], blobs)
            if stored is None:
                break
            if not why_no_room(stored, records[INGREDIENTS], entry.root):
                return 0
        else:
            return 0
        tree = payload_tree(entry, context.check_cancelled, with_times=True)
        texts = [*records.values(), tree.message, *tree.folders, action, command, NO_FOLDER]
        sources: dict[str, tuple[reapi.Digest, Callable[[], Iterator[bytes]]]] = {
            name: (digest, functools.partial(pieces_of_file, path))
            for name, (digest, path) in tree.files.items()
        }
        for text in texts:
            digest = digest_of(text)
            sources[digest.hash] = (digest, functools.partial(_pieces_of, text))
        missing = blobs.missing(digest for digest, _ in sources.values())
        sent = blobs.upload([sources[name] for name in sources if name in missing])
        result = reapi.ActionResult(
            output_files=[
                reapi.OutputFile(path=name, digest=digest_of(text))
                for name, text in sorted(records.items())
            ],
            output_directories=[
                reapi.OutputDirectory(path=ASSET, tree_digest=digest_of(tree.message))
            ],
        )
        request = reapi.UpdateActionResultRequest(
            instance_name=self._server.instance,
            action_digest=digest_of(action),
            action_result=result,
        )
        check = context.check_cancelled
        self._server.call(self._server.actions.UpdateActionResult, request, check)
        return sent + len(encoded(result))

    def _stored(
        self, action: reapi.Digest, entry: EntryPaths, mine: bytes, blobs: Blobs
    ) -> RecordedFingerprint | None:
        """Return the fingerprint of an entry on the server; None unless that has every blob of it.

        Raises:
            OtherPayload: it has another payload.
        """
        try:
            result = self._server.finish(self._begin(action), blobs.check)
            files = {row.path: row.digest for row in result.output_files}
            trees = [row.tree_digest for row in result.output_directories]
            wanted = [files[FINGERPRINT], *trees]
            if any(not 0 <= one.size_bytes <= EXPORT_RECORD.value for one in wanted):
                return None
            texts = blobs.read(wanted)
            members = [one for tree in trees for one in tree_members(texts[tree.hash], self.shown)]
            contents = [one.digest for one in members if one.digest is not None]
            # Servers forget blobs one by one: what was read lately stays longer.
            if blobs.missing([*files.values(), *contents]):
                return None
        except (NotFound, KeyError, ArchiveError, WrongBlob):
            return None
        recorded, stored = (
            parse_fingerprint(text.decode("ascii", "replace"))
            for text in (mine, texts[files[FINGERPRINT].hash])
        )
        if recorded is None or stored is None:
            return None
        paths = differing_paths(recorded, stored)
        if paths:
            raise OtherPayload(self.shown, entry.name, paths)
        return stored

    def _is_damaged(self, entry: EntryPaths, error: EnvyError, context: FetchContext) -> str:
        with self._lock:
            self._damaged += 1
            if self._damaged == _MOST_DAMAGED:
                self._why_off = f"{_MOST_DAMAGED} of its results could not be used"
        what = error.message.partition("\n")[0]
        self._warn_once(f"{self.shown}: {entry.name} cannot be used: {what}", context)
        return f"its result cannot be used: {what}"

    # -- words -------------------------------------------------------------------------------------

    def report(self, error: EnvyError, context: FetchContext) -> None:
        """Warn that an entry could not be stored; that the server takes nothing, only once."""
        hint = f" ({error.hint})" if error.hint else ""
        message = f"{error.message}{hint}"
        if isinstance(error, OtherPayload):
            context.warn(message)
        elif isinstance(error, NoAnswer):
            self._switch_off(error, context)
        else:
            self.takes_nothing = self.takes_nothing or isinstance(error, Refused)
            self._warn_once(f"not stored: {message}", context)

    def _switch_off(self, error: EnvyError, context: FetchContext) -> str:
        with self._lock:
            is_first, self._why_off = not self._why_off, error.message.partition("\n")[0]
        if is_first and self._server.is_news(error):
            hint = f" ({error.hint})" if error.hint else ""
            context.warn(f"{error.message}{hint}; it is not used in this run")
        return self._why_off

    def _warn_once(self, message: str, context: FetchContext) -> None:
        with self._lock:
            is_first = message not in self._warned
            self._warned.add(message)
        if is_first:
            context.warn(message)


def _record(entry: EntryPaths, name: str) -> bytes:
    try:
        return read_plain(entry.at(name), EXPORT_RECORD)
    except (OSError, NotPlain) as error:
        raise CacheError(f"{entry.at(name)} {error}", path=entry.directory) from error


def _pieces_of(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), 1 << 20):
        yield text[start : start + (1 << 20)]
    if not text:
        yield b""
