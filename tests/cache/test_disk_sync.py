"""A whole file system is flushed only if that is safe, and others have not written much."""

import errno
import os

import pytest

from envy.cache.disk_sync import DiskSync, bytes_to_write
from envy.cache.filesystem import FileSystem

MIB = 1 << 20
EXT4, TMPFS, NFS = 0xEF53, 0x01021994, 0x6969


class Disk:
    """Counts the calls, and fails when it is told to."""

    def __init__(self, to_write=0, kind=EXT4):
        self.to_write = to_write
        self.kind = kind
        self.calls = 0
        self.error = None

    def sync(self, descriptor):
        os.fstat(descriptor)
        self.calls += 1
        if self.error:
            error, self.error = self.error, None
            raise error

    def made(self, kernel="6.1.0-amd64"):
        return DiskSync(
            kernel=kernel,
            to_write=lambda: self.to_write,
            syncfs=self.sync,
            kind=lambda _descriptor: self.kind,
        )


def test_a_watched_disk(tmp_path):
    """A disk that was watched before is flushed by one call."""
    disk = Disk()
    sync = disk.made()
    assert not sync.sync(str(tmp_path), 0)
    sync.watch(str(tmp_path))
    sync.watch(str(tmp_path))
    assert sync.sync(str(tmp_path), 0)
    assert disk.calls == 1


@pytest.mark.parametrize("kernel", ["5.7.19", "4.18.0-553.el8", "", "unknown", "5.x"])
def test_kernels_that_report_no_errors(tmp_path, kernel):
    """Before Linux 5.8, and on other systems, each file is flushed by itself."""
    disk = Disk()
    sync = disk.made(kernel)
    sync.watch(str(tmp_path))
    assert not sync.sync(str(tmp_path), 0)
    assert disk.calls == 0


@pytest.mark.parametrize(
    ("to_write", "size", "is_used"),
    [(64 * MIB, 0, True), (65 * MIB, 0, False), (900 * MIB, 850 * MIB, True), (None, 0, False)],
)
def test_what_others_have_written(tmp_path, to_write, size, is_used):
    """The call is not used if it would wait for much that others have written."""
    disk = Disk(to_write)
    sync = disk.made()
    sync.watch(str(tmp_path))
    assert sync.sync(str(tmp_path), size) is is_used


@pytest.mark.parametrize(("kind", "is_flushed"), [(TMPFS, True), (NFS, False)])
def test_other_file_systems(tmp_path, kind, is_flushed):
    """In memory nothing has to be flushed; what is not known to flush as a whole never is."""
    disk = Disk(900 * MIB, kind)
    sync = disk.made()
    sync.watch(str(tmp_path))
    assert sync.sync(str(tmp_path), 0) is is_flushed
    assert disk.calls == 0


def test_after_an_error(tmp_path):
    """An error may be about any file: from then on, each file is flushed by itself."""
    disk = Disk()
    sync = disk.made()
    sync.watch(str(tmp_path))
    disk.error = OSError(errno.EIO, "Input/output error")
    assert not sync.sync(str(tmp_path), 0)
    assert not sync.sync(str(tmp_path), 0)
    assert disk.calls == 1


class Recording(FileSystem):
    def __init__(self, disk):
        self._disk = disk
        self.flushed = []

    def flush(self, paths):
        self.flushed += paths

    def flush_dirs(self, paths):
        self.flushed += paths


@pytest.mark.parametrize(("count", "error"), [(63, None), (64, None), (64, errno.EIO)])
def test_many_files(tmp_path, count, error):
    """Only many files are flushed by one call; if that fails, each of them, with its folders."""
    disk = Disk()
    files = Recording(disk.made())
    files.watch_disk(str(tmp_path))
    disk.error = OSError(error, "") if error else None
    paths = [str(tmp_path / str(number)) for number in range(count)]
    files.flush_tree(paths, [str(tmp_path)], 0)
    is_one_call = count == 64 and not error
    assert files.flushed == ([] if is_one_call else [*paths, str(tmp_path)])


def test_the_real_disk(tmp_path):
    """The real call succeeds on a known file system, or is not used."""
    sync = DiskSync()
    sync.watch(str(tmp_path))
    waiting = bytes_to_write()
    assert sync.sync(str(tmp_path), waiting or 0) in {True, False}
    assert waiting is None or waiting >= 0
