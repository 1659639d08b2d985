"""Sources on this machine: files and folders, by path or `file:`.

Copies and never links, so that later changes of a source do not reach the verified copy.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from envy.content.atomic import written_whole
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
    target = target_in(into, file_name(item))
    is_executable = item.executable or os.access(source, os.X_OK)
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
    if target.resolve().is_relative_to(root.resolve()):
        raise FetchError(
            f"{root} contains the cache itself, and cannot be copied into it",
            uri=item.source,
            hint="name a smaller folder, or set another cache root",
        )

    def copy(origin: str, destination: str) -> str:
        context.check_cancelled()
        return str(shutil.copy2(origin, destination))

    with written_whole(target) as part:
        _copy_tree(root, part, item.source, copy)
    return Fetched(path=target, bytes=tree_size(target), sha256="", uri=item.source, verified=False)


def _copy_tree(root: Path, part: Path, uri: str, copy: Callable[[str, str], str]) -> None:
    try:
        shutil.copytree(root, part, symlinks=True, copy_function=copy)
    except shutil.Error as error:
        path, _, reason = error.args[0][0]
        raise FetchError(f"cannot copy {path}: {reason}", uri=uri) from error
    except OSError as error:
        raise FetchError(f"cannot copy {root}: {error}", uri=uri) from error
