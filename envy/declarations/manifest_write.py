"""Writing an edited manifest: whole, with its mode and owner, and never over another change.

A manifest that is a link stays one; its target is written.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from envy.content.atomic import written_file
from envy.declarations.locations import shown_path
from envy.declarations.manifest import read_manifest
from envy.errors import ManifestError


def check_writable(path: Path) -> os.stat_result:
    """Return the status of a manifest that may be written to.

    Raises:
        ManifestError: it is read-only, or does not exist.
    """
    shown = shown_path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ManifestError(f"{shown} cannot be read: {error.strerror}") from error
    # Checked by its mode, too, since root may write to any file.
    if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise ManifestError(
            f"{shown} is read-only",
            hint=f"make it writable (chmod u+w {shown}), and run the command again",
        )
    return status


def write_manifest(path: Path, content: bytes, *, before: bytes) -> None:
    """Write a manifest whose content is `before`.

    Raises:
        ManifestError: it is read-only, cannot be written, or has another content now.
    """
    status = check_writable(path)
    shown = shown_path(path)
    target = os.path.realpath(path)
    try:
        with _sole_writer(Path(target).parent), written_file(target) as name:
            if read_manifest(path) != before:
                raise ManifestError(f"{shown} has changed meanwhile", hint="run the command again")
            new = Path(name)
            with new.open("xb") as file:
                file.write(content)
            with contextlib.suppress(OSError, AttributeError):
                os.chown(new, status.st_uid, status.st_gid)
            new.chmod(stat.S_IMODE(status.st_mode))
    except OSError as error:
        raise ManifestError(f"{shown} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Let another envy that writes a manifest of this folder finish first.

    Otherwise both could compare before one of them writes, and its edit would be lost.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
