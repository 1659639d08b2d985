"""Unpacking of the members of a zip, by two threads.

Owns the order: names are checked and folders created in the order of the archive, by one thread. So
are links, and members that are stored in an unusual way. Between two of these are files with
different paths, whose order does not matter: two threads write them, one beginning with the
largest, the other with the last; or both in the order of the archive, if it is still arriving.

Guarantees
  One thread at a time looks up paths and creates files.
  The failure that is reported is that of the first file that fails, in the order of the archive.
  When `extract_zip` returns or raises, its threads have ended.
"""

import contextlib
import functools
import os
import stat
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from envy.content.brought import Parts
from envy.content.count_files import CountFiles
from envy.content.extra_threads import extra_thread
from envy.content.extraction import (
    Unpacking,
    create_file,
    fill_file,
    place_file,
    write_file,
    write_folder,
    write_symlink,
)
from envy.content.unpacked_size import pieces_of
from envy.content.zip_content import WHOLE, ReadAt, content_pieces, ends_of, is_plain
from envy.content.zip_file import content_of, link_target, open_zip
from envy.content.zip_names import member_name

if TYPE_CHECKING:
    import zipfile

_DOS = 0  # the system that made a member
_MOST_WAITING = 100_000
# Files that a thread takes at once. Their descriptors are open together.
_BATCH = 16
# Below this many bytes or files, a thread costs more than it saves.
_BYTES_FOR_THREAD, _FILES_FOR_THREAD = 4 << 20, 400


class _File(NamedTuple):
    """A file to be written: its place in the archive and below the root."""

    number: int
    name: str
    parts: Parts
    mode: int
    mtime: int
    member: "zipfile.ZipInfo"


def extract_zip(job: Unpacking) -> None:
    """Unpack the members of a zip."""
    with open_zip(job.archive, job.arriving) as zipped:
        members = zipped.infolist()
        job.total = sum(not member.is_dir() for member in members) if job.report else 0
        extraction = _Extraction(job, zipped)
        for number, member in enumerate(members):
            extraction.take_member(number, member)
        extraction.write_waiting()


class _Extraction:
    """A zip being unpacked, and the files that wait to be written."""

    def __init__(self, job: Unpacking, zipped: "zipfile.ZipFile") -> None:
        self._job = job
        self._zipped = zipped
        self._pread = _reader(job, zipped)
        self._ends = ends_of(zipped.infolist(), zipped.start_dir)
        self._waiting: dict[Parts, _File] = {}

    def take_member(self, number: int, member: "zipfile.ZipInfo") -> None:
        """Let a file wait; write another member after all files that wait."""
        job = self._job
        name, mode = _name_of(member), _mode_of(job, member)
        mtime = _mtime_of(member.date_time)
        if name.endswith("/"):
            write_folder(job, name, mtime=mtime)
        elif stat.S_ISLNK(mode):
            self.write_waiting()
            write_symlink(job, name, link_target(job.archive, self._zipped, member))
        elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
            raise job.refuse(name, "is a device, a pipe or of an unknown type")
        elif is_plain(member):
            parts = place_file(job, name)
            if parts in self._waiting or len(self._waiting) >= _MOST_WAITING:
                self.write_waiting()
            if parts is not None:
                self._waiting[parts] = _File(number, name, parts, mode, mtime, member)
        else:
            self.write_waiting()
            with content_of(self._zipped, member) as content:
                write_file(job, name, pieces_of(content), mode=mode, mtime=mtime)

    def write_waiting(self) -> None:
        """Write the files that wait."""
        files = [*self._waiting.values()]
        self._waiting.clear()
        if not files:
            return
        is_much = len(files) > 1 and (
            len(files) >= _FILES_FOR_THREAD
            or sum(file.member.file_size for file in files) >= _BYTES_FOR_THREAD
        )
        large = [file for file in files if file.member.file_size > WHOLE]
        large.sort(key=lambda file: -file.member.file_size)
        # In the order of the archive otherwise: the files of a folder are beside each other.
        small = [file for file in files if file.member.file_size <= WHOLE]
        ordered = [*large, *small]
        arrives = self._job.arriving is not None
        if arrives:
            ordered = sorted(files, key=lambda file: file.member.header_offset)
        work = _Work(self._job, self._pread, ordered, self._ends)
        with extra_thread(work.run, work.stop) if is_much else contextlib.nullcontext():
            work.run(from_end=is_much and not arrives, report=self._job.report)
        work.raise_first()


def _reader(job: Unpacking, zipped: "zipfile.ZipFile") -> ReadAt:
    if job.arriving is not None:
        return job.arriving.pread
    return functools.partial(os.pread, zipped.fp.fileno() if zipped.fp is not None else -1)


def _name_of(member: "zipfile.ZipInfo") -> str:
    # As for nearly all members: a name that is the same in every encoding, and no other one.
    plain = not member.extra and member.orig_filename.isascii()
    name = member.filename if plain else member_name(member)
    # Some programs on Windows write backslashes, against the format.
    return name.replace("\\", "/") if member.create_system == _DOS else name


def _mode_of(job: Unpacking, member: "zipfile.ZipInfo") -> int:
    mode = member.external_attr >> 16
    # pip makes a file of a wheel executable by its mode, whatever system the wheel was zipped on.
    if member.create_system == _DOS and not (stat.S_ISREG(mode) and job.archive.suffix == ".whl"):
        return 0
    return mode


@functools.lru_cache(maxsize=64)
def _mtime_of(date_time: tuple[int, ...]) -> int:
    """Return the time of a member; many of an archive have the same."""
    import calendar

    # Zip has no time zone; UTC gives the same result everywhere.
    try:
        return calendar.timegm((*date_time, 0, 0, 0))
    except ValueError:
        return 0


class _Work:
    """Files that wait to be written, and what became of them."""

    def __init__(
        self, job: Unpacking, pread: ReadAt, files: Sequence[_File], ends: Mapping[int, int]
    ) -> None:
        self.job = job
        self.waiting = deque(files)
        self._stopped = False
        self._pread = pread
        self._ends = ends
        self._lock = threading.Lock()
        self._failed: tuple[int, Exception] | None = None  # the first in the archive so far

    def run(self, *, from_end: bool = False, report: CountFiles | None = None) -> None:
        """Write files until none waits."""
        while not self._stopped:
            created = self._create(from_end=from_end)
            if not created:
                return
            self._fill(created, report)

    def stop(self) -> None:
        """Let the files that wait be."""
        self._stopped = True

    def _create(self, *, from_end: bool) -> deque[tuple[_File, int]]:
        """Take some files and create them; no longer waiting are those that come to nothing."""
        created: deque[tuple[_File, int]] = deque()
        size = 0
        with self._lock:
            while self.waiting and len(created) < _BATCH and size <= WHOLE:
                file = self.waiting.pop() if from_end else self.waiting.popleft()
                if self._is_after_failure(file):
                    continue
                try:
                    descriptor = create_file(self.job, file.name, file.parts, file.mode)
                    created.append((file, descriptor))
                    self.job.below.unpacked.add(file.member.file_size, self.job.archive)
                except Exception as error:  # noqa: BLE001 - raised by `raise_first`
                    self._failed = (file.number, error)
                size += file.member.file_size
        return created

    def _fill(self, created: deque[tuple[_File, int]], report: CountFiles | None) -> None:
        job = self.job
        try:
            while created:
                file, descriptor = created.popleft()
                if self._stopped or self._is_after_failure(file):
                    os.close(descriptor)
                    continue
                try:
                    self._fill_one(file, descriptor)
                except Exception as error:  # noqa: BLE001 - raised by `raise_first`
                    with self._lock:
                        if not self._is_after_failure(file):
                            self._failed = (file.number, error)
                    continue
                with self._lock:
                    job.count += 1
                if report:
                    report(job.count, job.total)
        finally:
            for _file, descriptor in created:
                os.close(descriptor)

    def _fill_one(self, file: _File, descriptor: int) -> None:
        try:
            pieces = self._pieces(file)
        except BaseException:
            os.close(descriptor)
            raise
        fill_file(self.job, descriptor, pieces, file.mtime)

    def _pieces(self, file: _File) -> Iterable[bytes]:
        member = file.member
        pieces = content_pieces(self._pread, member, self._ends[member.header_offset])
        return pieces if isinstance(pieces, tuple) else self._until_stopped(pieces)

    def _until_stopped(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._stopped:
                return
            yield piece

    def _is_after_failure(self, file: _File) -> bool:
        failed = self._failed
        return failed is not None and file.number >= failed[0]

    def raise_first(self) -> None:
        """Raise the failure of the first file in the archive that has one."""
        if self._failed is not None:
            raise self._failed[1]
