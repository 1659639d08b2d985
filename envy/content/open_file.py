"""Writing to a file that is open."""

import os


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of some bytes."""
    written = os.write(descriptor, data) if data else 0
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def set_time(descriptor: int, mtime: int) -> None:
    """Set the time of an open file; a time that the file system cannot store is ignored."""
    try:
        os.utime(descriptor, (mtime, mtime))
    except (OSError, OverflowError):
        return
