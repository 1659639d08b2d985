"""Digests of many files at once, in their order.

Guarantees
  Only regular files are read; a pipe, a device or a link that takes the place of one is an error of
  that file, and never blocks.
  At most `_AHEAD` files are open. A digest is of the bytes that were read, whatever changes.
"""

# Plain os functions: these run once per file, perhaps a hundred thousand times.

from __future__ import annotations

import contextlib
import functools
import operator
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from blake3 import blake3

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# Smaller files are hashed at once: handing one to another thread takes longer than its digest.
_SMALL = 1 << 16
_CHUNK = 1 << 20
# From this size on, several threads compute one BLAKE3 digest, over larger pieces.
_LARGE, _LARGE_CHUNK = 16 << 20, 4 << 20
_AHEAD = 64
_TO_READ = (
    os.O_RDONLY
    | os.O_CLOEXEC
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_TO_READ_IN_TREE = _TO_READ | getattr(os, "O_NOFOLLOW", 0)
_name_of = operator.attrgetter("name")


class Digester(Protocol):
    """An unfinished digest."""

    def update(self, data: bytes | memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class FileHash(NamedTuple):
    """The digest of a file, or why there is none; `left_out`: it is not a file, within a tree."""

    path: str
    digest: str = ""
    size: int = 0
    error: str = ""
    left_out: bool = False


class FileToHash(NamedTuple):
    """A file, and the algorithm of its digest; `problem` is why it cannot be read, if known."""

    path: str
    algorithm: str
    problem: str = ""
    left_out: bool = False
    in_tree: bool = False  # a link in its place is not followed
    stream: int | None = None  # an open descriptor, such as standard input, to read to its end


def new_digester(algorithm: str, *, threads: int = 1) -> Digester:
    """Return an empty digest; several threads may compute one of BLAKE3."""
    if algorithm == "blake3":
        return blake3(max_threads=threads)
    return _new(algorithm)()


# -- which files ---------------------------------------------------------------------------------


def files_at(path: str, algorithm: str) -> Iterator[FileToHash]:
    """Yield the file at a path, or the files of the tree there, sorted.

    The path itself may be a link. In a tree, links are left out, as are pipes and devices.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except (OSError, ValueError) as error:
        yield FileToHash(path, algorithm, problem=_why(error))
        return
    if stat.S_ISDIR(mode):
        yield from _files_below(path, algorithm)
    elif stat.S_ISREG(mode):
        yield FileToHash(path, algorithm)
    else:
        yield FileToHash(path, algorithm, problem="is not a plain file; - reads standard input")


def _files_below(top: str, algorithm: str) -> Iterator[FileToHash]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=_name_of)
        except OSError as error:
            yield FileToHash(folder, algorithm, problem=_why(error))
            continue
        below: list[str] = []
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield FileToHash(entry.path, algorithm, in_tree=True)
            elif entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            else:
                yield FileToHash(entry.path, algorithm, left_out=True)
        waiting += reversed(below)


# -- their digests -------------------------------------------------------------------------------


def file_hashes(
    files: Iterable[FileToHash], *, workers: int, report: Callable[[int], None] | None = None
) -> Generator[FileHash]:
    """Yield the digests of files in their order; large files are hashed in `workers` threads.

    `report` is called with the number of further bytes, in any thread. Closing the iterator stops
    the threads.
    """
    stopped = threading.Event()
    waiting: deque[FileHash | Future[FileHash]] = deque()
    job = _Job(stopped, report or (lambda _count: None), workers)
    with contextlib.ExitStack() as closing:
        pool: ThreadPoolExecutor | None = None
        for file in files:
            started = _begin(file, job)
            if isinstance(started, FileHash):
                if not waiting:
                    yield started
                    continue
                waiting.append(started)
            else:
                if pool is None:
                    from concurrent.futures import ThreadPoolExecutor  # small files need none

                    pool = closing.enter_context(ThreadPoolExecutor(workers, "envy-hash"))
                    closing.callback(stopped.set)  # before the pool waits for its threads
                waiting.append(pool.submit(_finish, started, job))
            while waiting and (len(waiting) > _AHEAD or _is_done(waiting[0])):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


@dataclass(frozen=True, slots=True)
class _Job:
    stopped: threading.Event
    report: Callable[[int], None]
    workers: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """A larger file, of which the first bytes are hashed."""

    path: str
    descriptor: int
    digester: Digester
    done: int
    chunk: int


def _is_done(one: FileHash | Future[FileHash]) -> bool:
    return isinstance(one, FileHash) or one.done()


def _result(one: FileHash | Future[FileHash]) -> FileHash:
    return one if isinstance(one, FileHash) else one.result()


def _begin(file: FileToHash, job: _Job) -> FileHash | _Begun:
    """Hash a small file, or the first bytes of a larger one."""
    path, algorithm, problem, left_out, in_tree, stream = file
    if problem or left_out:
        return FileHash(path, error=problem, left_out=left_out)
    if stream is not None:
        return _stream_hash(file, stream, job)
    try:
        descriptor = os.open(path, _TO_READ_IN_TREE if in_tree else _TO_READ)
    except (OSError, ValueError) as error:
        return FileHash(path, error=_why(error))
    begun: FileHash | _Begun | None = None
    try:
        data = os.read(descriptor, _SMALL)
        size = len(data)
        if 0 < size < _SMALL:
            more = os.read(descriptor, _SMALL)
            if not more:  # as with nearly all small files
                job.report(size)
                return FileHash(path, _digest_of(algorithm, data), size)
            data += more
        begun = _begun(file, descriptor, data, job)
    except OSError as error:
        begun = FileHash(path, error=_why(error))
    finally:
        if not isinstance(begun, _Begun):
            os.close(descriptor)
    return begun


def _digest_of(algorithm: str, data: bytes) -> str:
    digest: str = (
        blake3(data).hexdigest() if algorithm == "blake3" else _new(algorithm)(data).hexdigest()
    )
    return digest


@functools.cache
def _new(algorithm: str) -> Callable[..., Digester]:
    import hashlib  # loads OpenSSL, which BLAKE3 does not need

    return functools.partial(hashlib.new, algorithm, usedforsecurity=False)


def _begun(file: FileToHash, descriptor: int, data: bytes, job: _Job) -> FileHash | _Begun:
    """Go on with a file that may be large, or a pipe, or a device without end."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return FileHash(file.path, error="is not a plain file")
    is_large = status.st_size >= _LARGE
    digester = new_digester(file.algorithm, threads=job.workers if is_large else 1)
    size = 0
    while data:
        digester.update(data)
        size += len(data)
        if len(data) >= _SMALL:
            job.report(size)
            chunk = _LARGE_CHUNK if is_large else _CHUNK
            return _Begun(file.path, descriptor, digester, size, chunk)
        data = os.read(descriptor, _SMALL)
    job.report(size)
    return FileHash(file.path, digester.hexdigest(), size)


_buffers = threading.local()


def _finish(begun: _Begun, job: _Job) -> FileHash:
    """Hash the rest of a file."""
    buffer: memoryview | None = getattr(_buffers, "buffer", None)
    if buffer is None or len(buffer) < begun.chunk:
        buffer = _buffers.buffer = memoryview(bytearray(begun.chunk))
    size = begun.done
    try:
        while not job.stopped.is_set() and (count := os.readv(begun.descriptor, [buffer])):
            begun.digester.update(buffer[:count])
            size += count
            job.report(count)
    except OSError as error:
        return FileHash(begun.path, error=_why(error))
    finally:
        os.close(begun.descriptor)
    return FileHash(begun.path, begun.digester.hexdigest(), size)


def _stream_hash(file: FileToHash, descriptor: int, job: _Job) -> FileHash:
    digester, size = new_digester(file.algorithm), 0
    try:
        while data := os.read(descriptor, _CHUNK):
            digester.update(data)
            size += len(data)
            job.report(len(data))
    except OSError as error:
        return FileHash(file.path, error=_why(error))
    return FileHash(file.path, digester.hexdigest(), size)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "has a NUL character in its name"
