"""A payload as a tree of messages, and back: which folders, files and links it has.

A folder is named by the digest of its message, so the messages of a tree may stand for far more
folders than they are: what a tree unfolds to is bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)

from envy.cache.layout import EntryPaths
from envy.cache.names import FILE_DIGESTS, FINGERPRINT
from envy.cache.trees import DIRECTORY, FILE, LINK
from envy.cache.verify import published_members
from envy.content.atomic import atomic_write
from envy.content.brought import why_no_name, why_no_target
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.errors import ArchiveError, CacheError
from envy.limits import CACHE_FILE, EXPORT_FILES
from envy.sharing.remote.messages import digest_of, encoded

_NO_NAMES = frozenset({"", ".", ".."})
_SENT = "{} sent a tree {}"
_DEEPEST = 200  # folders in each other
_LATEST = 1 << 32  # seconds, in the year 2106; some file systems have no later times
_NANOSECONDS = 10**9
_HASH = re.compile(r"[0-9a-f]{64}")


class UnusableTree(ArchiveError):
    """A tree may be what was written, and has more, or other names, than a payload may have."""


class TreeMember(NamedTuple):
    """A member of a payload; `digest` is that of a file, `target` that of a link.

    `mtime` is when a file was changed, if the tree says so.
    """

    parts: tuple[str, ...]
    kind: str
    digest: reapi.Digest | None = None
    executable: bool = False
    target: str = ""
    mtime: float | None = None


@dataclass(slots=True)
class PayloadTree:
    """The messages of a payload, and where the content of its files is, by hash.

    Each of the folders is a blob of its own, too: servers look for them before they give a result.
    """

    message: bytes
    folders: Sequence[bytes] = ()
    files: Mapping[str, tuple[reapi.Digest, str]] = field(default_factory=dict)


def payload_tree(
    entry: EntryPaths, check: Callable[[], None], *, with_times: bool = False
) -> PayloadTree:
    """Read the payload of an entry, and return its tree.

    With `with_times` it says when files were changed, by which Python and make judge what they
    made of them. Inputs of an action have none: it would be another one on each machine.
    The digests of its files are kept beside its fingerprint, since they take long to compute.

    Raises:
        CacheError: a member cannot be read.
    """
    fingerprint = digest_of(read_plain(entry.at(FINGERPRINT), CACHE_FILE)).hash
    known = _read_digests(entry, fingerprint)
    digests: dict[str, tuple[str, int]] = {}
    folders: dict[str, reapi.Directory] = {"": reapi.Directory()}
    files: dict[str, tuple[reapi.Digest, str]] = {}
    for member in published_members(entry):
        if not _is_utf_8(member.relative):
            raise CacheError(
                f"{member.path!r} cannot be sent: its name is not UTF-8", path=entry.directory
            )
        above, _, name = member.relative.rpartition("/")
        if member.kind == DIRECTORY:
            folders[member.relative] = reapi.Directory()
        elif member.kind == LINK:
            target = os.readlink(member.path)
            if not _is_utf_8(target):
                raise CacheError(
                    f"{member.path} cannot be sent: its target is not UTF-8", path=entry.directory
                )
            folders[above].symlinks.append(reapi.SymlinkNode(name=name, target=target))
        else:
            check()
            row = known.get(member.relative)
            size = member.status.st_size
            text = row[0] if row and row[1] == size else _sha256(member.path)
            digests[member.relative] = (text, size)
            digest = reapi.Digest(hash=text, size_bytes=size)
            executable = bool(member.status.st_mode & 0o100)
            node = reapi.FileNode(name=name, digest=digest, is_executable=executable)
            if with_times:
                node.node_properties.mtime.FromNanoseconds(max(0, member.status.st_mtime_ns))
            folders[above].files.append(node)
            files[text] = (digest, member.path)
    if digests != known:
        _write_digests(entry, fingerprint, digests)
    root, children = _joined(folders)
    tree = reapi.Tree(root=root, children=[children[name] for name in sorted(children)])
    return PayloadTree(encoded(tree), [encoded(each) for each in (root, *tree.children)], files)


def _joined(
    folders: Mapping[str, reapi.Directory],
) -> tuple[reapi.Directory, dict[str, reapi.Directory]]:
    """Enter each folder in the one above it; return the top, and the others by hash."""
    children: dict[str, reapi.Directory] = {}
    for path in sorted(folders, key=lambda path: path.count("/") + bool(path), reverse=True):
        message = folders[path]
        for rows in (message.files, message.directories, message.symlinks):
            rows.sort(key=lambda row: row.name)
        if path:
            above, _, name = path.rpartition("/")
            digest = digest_of(encoded(message))
            children[digest.hash] = message
            folders[above].directories.append(reapi.DirectoryNode(name=name, digest=digest))
    return folders[""], children


def tree_members(data: bytes, shown: str) -> Iterator[TreeMember]:
    """Yield the members of a tree, each folder before what is in it.

    Raises:
        ArchiveError: it is damaged, or unfolds to more than a payload may have.
    """
    tree = reapi.Tree()
    try:
        tree.ParseFromString(data)
    except Exception as error:
        raise _damaged(shown, "that is damaged") from error
    children = {hashlib.sha256(encoded(child)).hexdigest(): child for child in tree.children}
    waiting: list[tuple[tuple[str, ...], reapi.Directory]] = [((), tree.root)]
    count = 0
    while waiting:
        above, folder = waiting.pop()
        files, inner, links = folder.files, folder.directories, folder.symlinks
        names = [node.name for nodes in (files, inner, links) for node in nodes]
        count += len(names)
        if count > EXPORT_FILES.value:
            raise UnusableTree(
                f"{shown} sent a tree with more than {EXPORT_FILES.shown}, the limit "
                f"{EXPORT_FILES.name}",
                archive=Path(shown),
                hint=EXPORT_FILES.hint,
            )
        _check_names(names, len(above), shown)
        for name, file in zip(names, files, strict=False):
            digest = file.digest
            _check_digest(name, digest, shown)
            yield TreeMember(
                (*above, name), FILE, digest, file.is_executable, mtime=_mtime_of(file)
            )
        for node in inner:
            parts = (*above, node.name)
            _check_digest(node.name, node.digest, shown)
            child = children.get(node.digest.hash)
            if child is None:
                raise _damaged(shown, f"without {'/'.join(parts)}")
            yield TreeMember(parts, DIRECTORY)
            waiting.append((parts, child))
        for link in links:
            if wrong := why_no_target(link.target):
                raise _damaged(shown, f"in which {link.name[:80]!r} {wrong}")
            yield TreeMember((*above, link.name), LINK, target=link.target)


def _check_names(names: Sequence[str], depth: int, shown: str) -> None:
    """Raise unless a folder can have members with these names."""
    seen: set[str] = set()
    for name in names:
        if name in seen or name in _NO_NAMES or "/" in name or "\0" in name:
            raise _damaged(shown, f"with the name {name!r}")
        if "\\" in name or depth >= _DEEPEST:
            raise UnusableTree(_SENT.format(shown, f"with the name {name!r}"), archive=Path(shown))
        if wrong := why_no_name(name):
            how = f"in which {name[:80]!r} {wrong}"
            raise UnusableTree(_SENT.format(shown, how), archive=Path(shown))
        seen.add(name)


def _check_digest(name: str, digest: reapi.Digest, shown: str) -> None:
    if digest.size_bytes < 0 or not _HASH.fullmatch(digest.hash):
        raise _damaged(shown, f"in which {name[:80]!r} has no valid digest")


def _mtime_of(file: reapi.FileNode) -> float | None:
    """Return when a file was changed; None if the tree does not say, or not what a time can be."""
    if not file.HasField("node_properties") or not file.node_properties.HasField("mtime"):
        return None
    time = file.node_properties.mtime
    if not (0 <= time.seconds < _LATEST and 0 <= time.nanos < _NANOSECONDS):
        return None
    return float(time.seconds + time.nanos / _NANOSECONDS)


def _damaged(shown: str, how: str) -> ArchiveError:
    return ArchiveError(_SENT.format(shown, how), archive=Path(shown))


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_digests(entry: EntryPaths, fingerprint: str) -> dict[str, tuple[str, int]]:
    """Return the sizes and digests of files that an earlier upload computed, by path."""
    try:
        row = parse_json(read_plain(entry.at(FILE_DIGESTS), CACHE_FILE))
        if row["fingerprint"] != fingerprint:
            return {}  # they are those of an earlier payload
        return {
            str(path): (str(digest), int(size)) for path, (digest, size) in row["files"].items()
        }
    except (OSError, NotPlain, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write_digests(
    entry: EntryPaths, fingerprint: str, digests: Mapping[str, tuple[str, int]]
) -> None:
    text = json.dumps({"fingerprint": fingerprint, "files": digests})
    with contextlib.suppress(OSError):  # they are computed again
        atomic_write(entry.at(FILE_DIGESTS), text.encode())
