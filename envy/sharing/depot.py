"""A depot: finished entries on plain storage, taken instead of being built, and stored for others.

Guarantees
  An entry is published only after its key, its signature, where one is demanded, and each file were
  checked. Whatever a depot sends, the entry is otherwise missing, as before.
  Of the objects of one key, the first stays; a later one with another payload is reported.
  A depot that does not answer, or sends three damaged objects, is not asked again in this run.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from blake3 import blake3

from envy.cache.export_file import write_export_file
from envy.cache.export_index import Accept
from envy.cache.export_records import Records, check_export, read_head, read_records
from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import FETCH, FINGERPRINT, INGREDIENTS
from envy.cache.origin import Origin, read_origin
from envy.cache.read import read_marker
from envy.cache.relocate import why_not_relocatable
from envy.cache.room import why_no_room
from envy.cache.take_entry import remove_traces, take_exported
from envy.cache.verify import read_fingerprint
from envy.content.archive_errors import named_errors
from envy.content.plain_file import NotPlain, read_plain
from envy.content.scratch import scratch_folder
from envy.declarations.signature import Signature
from envy.errors import ArchiveError, CacheError, Cancelled, EnvyError, FetchError
from envy.limits import EXPORT_RECORD
from envy.sharing.object_names import (
    bound_name,
    name_of_object,
    shared_name,
    signer_in,
    without_root,
)
from envy.sharing.place import OtherPayload, Signer, Taken, differing_paths
from envy.sharing.shelf import ReadOnly, Shelf, StoredObject, Unreadable
from envy.sharing.trusted_keys import BadSignature, TrustedKeys
from envy.transport.context import Answered, FetchContext, NoAnswer, NotFound

_MOST_DAMAGED = 3
_BEGINNING = 256 << 10  # bytes, which have the index, and the records of most entries


class OpenDepot:
    """A depot in use by one command; its methods may be called from several threads.

    `keys` are those of which one must have signed an entry, in the order in which objects of theirs
    are asked for; without any, objects are asked for that nobody signed.
    """

    def __init__(self, shelf: Shelf, keys: Sequence[Signature]) -> None:
        self.shown = shelf.shown
        self.takes_nothing = False
        self._shelf = shelf
        self._keys = TrustedKeys(keys)
        self._lock = threading.Lock()
        self._why_off = ""
        self._damaged = 0
        self._asks_bound_first = False
        self._warned: set[type[EnvyError]] = set()

    @property
    def is_off(self) -> bool:
        """Whether it is not asked again in this run."""
        return bool(self._why_off)

    def ask_ahead(self, wanted: Sequence[tuple[EntryPaths, str]], context: FetchContext) -> None:
        """Do nothing: each question to a depot is the download itself."""

    def end_asking(self) -> None:
        """Do nothing, as nothing was prepared."""

    def take(
        self, layout: CacheLayout, entry: EntryPaths, key_hex: str, context: FetchContext
    ) -> Taken:
        """Publish an entry from the depot, if it has one that this cache can use.

        The caller holds the entry's lock, and the entry is missing. What is wrong with the depot is
        a warning, and the reason of the miss.

        Raises:
            Cancelled: the run was cancelled; CacheError: this cache cannot be written.
        """
        if self._why_off:
            return Taken(missed=self._why_off)
        missed = ""
        given_up: set[str] = set()
        for name in self._names(entry, key_hex):
            if self.is_off or signer_in(name) in given_up:
                continue
            try:
                return self._take_object(name, layout, entry, key_hex, context)
            except (Cancelled, CacheError):
                raise
            except OSError as error:
                raise explained(error, doing="take an entry", path=entry.location) from error
            except NotFound:
                missed = missed or Taken.ABSENT
            except _Unusable as error:
                # Other packages may have as little room: those for this root are asked for first.
                missed, self._asks_bound_first = error.why, True
            except EnvyError as error:
                missed = self._why_missed(name, error, context)
                if not _is_refused(error):  # another signer may have stored it undamaged
                    given_up.add(signer_in(name))
        return Taken(missed=missed)

    def _names(self, entry: EntryPaths, key_hex: str) -> list[str]:
        """Return the names under which an entry may be, in the order in which they are tried."""
        kinds = (shared_name, bound_name)
        if self._asks_bound_first:
            kinds = (bound_name, shared_name)
        return [
            name_for(entry, key_hex, signer) for signer in self._keys.signers for name_for in kinds
        ]

    def _why_missed(self, name: str, error: EnvyError, context: FetchContext) -> str:
        """Return why an object is not taken, and warn if the depot is to blame."""
        if _is_refused(error):  # some servers answer so for what they do not have
            message = f"{error.message}; what it refuses counts as missing"
            self._warn_once(Answered, message, context)
            return "it refused to answer"
        if is_damage(error) or isinstance(error, Unreadable):
            return self._is_damaged(name, error, context)
        return self._switch_off(error, context)

    def _take_object(
        self,
        name: str,
        layout: CacheLayout,
        entry: EntryPaths,
        key_hex: str,
        context: FetchContext,
    ) -> Taken:
        started = time.monotonic()
        try:
            with self._opened(name, Path(entry.at(FETCH)), context) as path:
                with named_errors(path):
                    size = path.stat().st_size
                problem = take_exported(
                    layout,
                    path,
                    entry,
                    key_hex,
                    accept=self._judging(name),
                    origin=Origin(self.shown, signer_in(name)),
                    check=context.check_cancelled,
                )
        finally:
            remove_traces(entry)  # which stay only if the entry is there, or was begun before
        if problem:
            raise _Unusable(problem)
        return Taken(size=size, seconds=time.monotonic() - started)

    @contextlib.contextmanager
    def _opened(self, name: str, into: Path, context: FetchContext) -> Iterator[Path]:
        """Return a file with an object; that it cannot be read is no damage.

        Raises:
            NotFound, NoAnswer, Unreadable, FetchError: as `Shelf.open`.
        """
        try:
            with self._shelf.open(name, into, context) as path:
                yield path
        except ArchiveError as error:
            cause = error.__cause__
            if isinstance(cause, FileNotFoundError):  # somebody has removed it meanwhile
                raise NotFound(f"{self.shown} has no {name}", uri=self.shown) from error
            if isinstance(cause, OSError) and cause.errno is not None:
                raise Unreadable(error.message, uri=self.shown) from error
            raise

    def _judging(self, name: str) -> Accept:
        """Return what raises unless an index is signed as the name of its object says."""
        uri = f"{self.shown}/{name}"
        return lambda index, signature: self._keys.judge(name, uri, index, signature)

    def _is_damaged(self, name: str, error: EnvyError, context: FetchContext) -> str:
        with self._lock:
            self._damaged += 1
            is_last = self._damaged == _MOST_DAMAGED
            if is_last:
                self._why_off = f"{_MOST_DAMAGED} of its objects could not be used"
        what = error.message.partition("\n")[0]
        end = f"; as {self._why_off}, the depot is not used in this run" if is_last else ""
        context.warn(f"{self.shown}: {name} cannot be used: {what}{end}")
        return f"its object cannot be used: {what}"

    def _switch_off(self, error: EnvyError, context: FetchContext) -> str:
        with self._lock:
            is_first = not self._why_off
            self._why_off = error.message.partition("\n")[0]
        if is_first:
            hint = f" ({error.hint})" if error.hint else ""
            context.warn(f"{error.message}{hint}; the depot is not used in this run")
        return self._why_off

    def _warn_once(self, what: type[EnvyError], message: str, context: FetchContext) -> None:
        with self._lock:
            is_first = what not in self._warned
            self._warned.add(what)
        if is_first:
            context.warn(message)

    def report(self, error: EnvyError, context: FetchContext) -> None:
        """Warn that an entry could not be stored; that the depot takes nothing, only once."""
        hint = f" ({error.hint})" if error.hint else ""
        message = f"{error.message}{hint}"
        if isinstance(error, OtherPayload):
            context.warn(message)
        elif isinstance(error, NoAnswer):
            self._switch_off(error, context)
        elif isinstance(error, FetchError):
            self.takes_nothing = self.takes_nothing or isinstance(error, ReadOnly)
            self._warn_once(type(error), f"not stored: {message}", context)
        else:  # it is about this entry
            context.warn(f"not stored: {message}")

    # -- writing -----------------------------------------------------------------------------------

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
            OtherPayload: the depot has another payload for the same key.
            FetchError: it cannot be stored; CacheError: the entry cannot be read.
            EnvyError: it was taken from where none of the keys has signed it, or the depot's object
                is damaged.
        """
        marker = read_marker(entry)
        if marker is None:
            raise CacheError(f"{entry.location} is incomplete", path=entry.directory)
        is_bound = marker.holds_root and bool(why_not_relocatable(entry))
        signer = sign.number if sign is not None else ""
        # One for every cache may have been made where the path is shorter than here.
        kinds = (bound_name,) if is_bound else (shared_name, bound_name)
        try:
            with scratch_folder("depot") as scratch:
                for name in (name_for(entry, marker.key_hex, signer) for name_for in kinds):
                    # Asked first: neither compressing nor sending is for nothing then.
                    if not self._shelf.has(name, context):
                        if sign is not None:
                            self._check_origin(entry)
                        path = scratch / "object"
                        size = write_export_file(str(path), [entry], workers=workers, sign=sign)
                        if self._shelf.store(name, path, context):
                            return size
                    if self._compare(name, entry, scratch, context):
                        break
        except NotPlain as error:
            raise CacheError(f"{entry.location}: {error}", path=entry.directory) from error
        except OSError as error:  # of the folder for temporary files
            raise explained(error, doing="store an entry", path=entry.location) from error
        return 0

    def _check_origin(self, entry: EntryPaths) -> None:
        """Raise if an entry comes from where no key of the project has signed it."""
        origin = read_origin(entry)
        if origin is not None and origin.signer not in self._keys.signers:
            raise EnvyError(
                f"{entry.name} was taken from {origin.place}, where no key of this project has "
                "signed it, so it is not signed here",
                hint=f"build it on this machine: remove {entry.location}, and sync without "
                "that place",
            )

    def _compare(self, name: str, entry: EntryPaths, scratch: Path, context: FetchContext) -> bool:
        """Return whether the object of a name, which has the payload of an entry, fits this cache.

        Raises if it has another payload, or is damaged.

        The beginning of the object is enough, unless it differs and is that of many files.
        """
        try:
            return self._compare_payloads(name, entry, scratch, context)
        except (ArchiveError, BadSignature) as error:
            what = error.message.partition("\n")[0]
            raise EnvyError(
                f"the object {name} of {self.shown} cannot be used: {what}",
                hint="remove it from the depot, so that the package can be stored anew",
            ) from error

    def _compare_payloads(
        self, name: str, entry: EntryPaths, scratch: Path, context: FetchContext
    ) -> bool:
        mine = read_fingerprint(entry)
        if mine is None:
            raise CacheError(f"{entry.location} has no fingerprint", path=entry.directory)
        with self._shelf.beginning(name, _BEGINNING, scratch / "stored", context) as path:
            head = read_head(path, _BEGINNING, scratch, accept=self._judging(name))
        record = read_plain(entry.at(FINGERPRINT), EXPORT_RECORD)
        if head.digests.get(FINGERPRINT) == blake3(record).hexdigest():
            return True
        theirs = head.fingerprint
        if theirs is None:
            with self.records(name, scratch / "stored", context) as records:
                theirs = records.fingerprint
        paths = differing_paths(mine, theirs)
        if paths:
            raise OtherPayload(self.shown, entry.name, paths)
        ingredients = read_plain(entry.at(INGREDIENTS), EXPORT_RECORD)
        return not why_no_room(theirs, ingredients, entry.root)

    # -- maintenance -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def records(self, name: str, into: Path, context: FetchContext) -> Iterator[Records]:
        """Read what an object says about itself, judged by the keys of the depot.

        Raises:
            ArchiveError: it is damaged or not signed by a key; FetchError: it cannot be read.
        """
        with self._opened(name, into, context) as path:
            yield read_records(path, accept=self._judging(name))

    def check(self, name: str, layout: CacheLayout, context: FetchContext) -> None:
        """Unpack an object in a folder for temporary files, and check all of it.

        Raises:
            ArchiveError: it is damaged, or has another entry than its name says.
            FetchError: it cannot be read; CacheError: there is no room to unpack it.
            EnvyError: it is not signed by one of the keys; see `is_damage`.
        """
        with (
            _explaining(name),
            scratch_folder("depot") as scratch,
            self._opened(name, scratch / "stored", context) as path,
        ):
            found = check_export(
                layout,
                path,
                scratch,
                accept=self._judging(name),
            )
            signer = signer_in(name)
            expected = [name_of_object(entry, key, signer) for key, entry in found]
            if expected != [without_root(name)]:
                raise ArchiveError(f"it has {', '.join(expected) or 'nothing'}", archive=path)

    def is_by_others(self, name: str) -> bool:
        """Return whether an object is not one that this project would ask for, by its signer."""
        return signer_in(name) not in self._keys.signers

    def listed(self, context: FetchContext) -> Iterator[StoredObject]:
        """Yield every object.

        Raises:
            UsageError: the depot cannot be listed; FetchError: it cannot be read.
        """
        return self._shelf.listed(context)

    def remove(self, name: str, context: FetchContext) -> None:
        """Remove an object.

        Raises:
            FetchError: it cannot be removed.
        """
        self._shelf.remove(name, context)


@contextlib.contextmanager
def _explaining(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # of the folder for temporary files
        raise explained(error, doing="unpack an object of a depot", path=name) from error


class _Unusable(EnvyError):
    """An object is sound, but this cache cannot use it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def is_damage(error: Exception) -> bool:
    """Return whether an error of `check` is about the object itself."""
    return isinstance(error, (ArchiveError, BadSignature))


def _is_refused(error: EnvyError) -> bool:
    return isinstance(error, Answered) and error.status == 403
