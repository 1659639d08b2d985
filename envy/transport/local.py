"""Sources on this machine: files and folders, by path or `file:`.

Copies and never links, so that later changes of a source do not reach the verified copy.
"""

# ruff: noqa: PTH102, PTH118, PTH211 - plain os functions, since there may be a hundred thousand files

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from envy.content.atomic import written_whole
from envy.content.folder_walk import FolderRules, NotTaken, rules_of, walk
from envy.declarations.sources import SourceItem, file_name, local_path
from envy.errors import FetchError
from envy.transport.context import FetchContext, Fetched
from envy.transport.digests import ExpectedDigest, Hasher, expected_digests
from envy.transport.source_tree import inner_folder, tree_size
from envy.transport.target import make_executable, target_in

_CHUNK = 1 << 20


def fetch_local(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Copy a file, or a whole folder, into `into`."""
    source = local_path(item)
    if source.is_dir():
        return _fetch_folder(item, source, into, context)
    if not source.exists():
        raise FetchError(
            f"{source} does not exist",
            uri=item.source,
            hint=f"relative sources are searched for in {item.base_dir}",
        )
    if not source.is_file():
        raise FetchError(
            f"{source} is neither a file nor a folder",
            uri=item.source,
            hint="a pipe or a device may have no end",
        )
    target = target_in(into, file_name(item))
    is_executable = item.is_executable or os.access(source, os.X_OK)
    return copy_file(
        source, target, context, item.source, expected_digests(item), executable=is_executable
    )


def copy_file(
    source: Path,
    target: Path,
    context: FetchContext,
    uri: str,
    expected: Sequence[ExpectedDigest],
    *,
    executable: bool = False,
) -> Fetched:
    """Copy one file, and verify its digests on the way."""
    hasher = Hasher(expected)
    done = 0
    with written_whole(target) as part:
        try:
            total = source.stat().st_size
            with source.open("rb") as reading, part.open("wb") as writing:
                while data := reading.read(_CHUNK):
                    context.check_cancelled()
                    hasher.update(data)
                    writing.write(data)
                    done += len(data)
                    context.progress(uri, done, total)
        except OSError as error:
            raise FetchError(f"cannot copy {source}: {error.strerror}", uri=uri) from error
        verified = hasher.verify(uri)
        if executable:
            make_executable(part)
    return Fetched(path=target, bytes=done, sha256=hasher.sha256, uri=uri, verified=verified)


def _fetch_folder(item: SourceItem, source: Path, into: Path, context: FetchContext) -> Fetched:
    if item.sha256 or item.blake3:
        raise FetchError(
            f"{source} is a folder, and a folder has no digest",
            uri=item.source,
            hint="remove sha256 and blake3; the content of a local folder is part of the key",
        )
    target = target_in(into, file_name(item))
    root = inner_folder(source, item.subdir, item.source)
    rules = rules_of(exclude=item.exclude, follow=item.follow, history=item.vcs)
    inside = os.path.relpath(target.resolve(), root)
    if not inside.startswith("..") and not FolderRules(rules).left_out(inside.split("/")):
        raise FetchError(
            f"{root} contains the cache itself, and cannot be copied into it",
            uri=item.source,
            hint="name a smaller folder, leave the cache out with `exclude`, or set another cache "
            "root",
        )
    with written_whole(target) as part:
        try:
            _copy_tree(root, rules, part, context)
        except NotTaken as error:
            raise FetchError(error.why, uri=item.source, hint=error.hint) from None
        except OSError as error:
            raise FetchError(
                f"cannot copy {error.filename or root}: {error.strerror or error}", uri=item.source
            ) from error
    return Fetched(path=target, bytes=tree_size(target), sha256="", uri=item.source, verified=False)


def _copy_tree(root: Path, rules: str, part: Path, context: FetchContext) -> None:
    """Copy what is taken of a folder, with modes and times; those of folders at the end."""
    part.mkdir()
    folders = [(str(root), str(part))]
    for relative, path, status, link in walk(str(root), rules):
        context.check_cancelled()
        copy = os.path.join(part, relative)
        if link:
            os.symlink(link, copy)
        elif stat.S_ISDIR(status.st_mode):
            os.mkdir(copy)
            folders.append((path, copy))
        else:
            shutil.copy2(path, copy)
    for path, copy in reversed(folders):
        shutil.copystat(path, copy)
