"""Export files: entries of the cache in one file, a tar archive compressed with zstd.

    envy-export.json                              the format, and each entry with its key, its root
                                                  and the digests of its two records
    envy-export.minisig                           a signature of that, if the file is signed
    <identity>/<folder>/envy-ingredients.json     as in the cache, for each entry
    <identity>/<folder>/envy-fingerprint.blake3
    <identity>/<folder>/asset/…

An export file records names, kinds, permissions and content; it omits owners, and what was added to
a `writable` package after it was published. The import verifies it against its fingerprints, file
by file.
"""

import contextlib
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import IO, cast

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS
from envy.cache.read import read_marker
from envy.cache.trees import DIRECTORY, LINK, Member
from envy.cache.verify import published_members
from envy.content.atomic import written_file
from envy.content.plain_file import NotPlain, read_plain
from envy.errors import CacheError
from envy.interpreter import released
from envy.limits import EXPORT_RECORD

FORMAT = 1
INDEX = "envy-export.json"
SIGNATURE = "envy-export.minisig"
DIGESTS = (INGREDIENTS, FINGERPRINT)  # the records whose digests the index has
_LEVEL = 6


def write_export_file(
    target: str,
    entries: Sequence[EntryPaths],
    *,
    workers: int,
    sign: Callable[[bytes], bytes] | None = None,
) -> int:
    """Write complete entries into one file, whole or not at all; return its size in bytes.

    `sign` returns the signature of the index, which vouches for all files: it has the digests of
    the fingerprints.

    Raises:
        CacheError: an entry is incomplete, or a file cannot be read or written.
    """
    try:
        with written_file(target) as new:
            with released(), _writing(new, workers) as tar:
                index = _index(entries)
                _add_bytes(tar, INDEX, index)
                if sign is not None:
                    _add_bytes(tar, SIGNATURE, sign(index))
                for entry in entries:
                    _add_entry(tar, entry)
            size = os.stat(new).st_size
    except OSError as error:
        raise explained(error, doing="export to", path=target) from error
    return size


@contextlib.contextmanager
def _writing(path: str, workers: int) -> Iterator[tarfile.TarFile]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: _LEVEL,
        zstd.CompressionParameter.nb_workers: workers,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    with (
        zstd.ZstdFile(path, "wb", options=options) as compressed,
        tarfile.open(
            fileobj=cast("IO[bytes]", compressed),
            mode="w:",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
        ) as tar,
    ):
        yield tar
        tar.members.clear()  # type: ignore[attr-defined]


def _index(entries: Sequence[EntryPaths]) -> bytes:
    rows = []
    for entry in entries:
        marker = read_marker(entry)
        if marker is None:
            raise CacheError(
                f"cannot export {entry.location}: the entry is incomplete", path=entry.directory
            )
        rows.append(
            {
                "name": entry.name,
                "key": marker.key_hex,
                "root": marker.root,
                **{name: blake3(_record(entry, name)).hexdigest() for name in DIGESTS},
            }
        )
    return json.dumps({"format": FORMAT, "entries": rows}, indent=1).encode("ascii")


def _add_entry(tar: tarfile.TarFile, entry: EntryPaths) -> None:
    for name in (INGREDIENTS, FINGERPRINT):
        _add_bytes(tar, f"{entry.name}/{name}", _record(entry, name))
    tar.addfile(_info(f"{entry.name}/{ASSET}", os.lstat(entry.at(ASSET)), tarfile.DIRTYPE))
    for member in published_members(entry):
        _add_member(tar, f"{entry.name}/{ASSET}/{member.relative}", member)
        tar.members.clear()  # type: ignore[attr-defined]


def _record(entry: EntryPaths, name: str) -> bytes:
    try:
        return read_plain(entry.at(name), EXPORT_RECORD)
    except NotPlain as error:
        raise CacheError(
            f"cannot export {entry.location}: its {name} {error}",
            path=entry.directory,
            hint=error.limit.hint if error.limit else "rebuild the package",
        ) from error


def _add_member(tar: tarfile.TarFile, name: str, member: Member) -> None:
    if member.kind == DIRECTORY:
        tar.addfile(_info(name, member.status, tarfile.DIRTYPE))
    elif member.kind == LINK:
        info = _info(name, member.status, tarfile.SYMTYPE)
        info.linkname = os.readlink(member.path)
        tar.addfile(info)
    else:
        info = _info(name, member.status, tarfile.REGTYPE)
        info.size = member.status.st_size
        with open(member.path, "rb") as file:
            tar.addfile(info, file)


def _info(name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = stat.S_IMODE(status.st_mode)
    info.mtime = int(status.st_mtime)
    return info


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, BytesIO(data))
