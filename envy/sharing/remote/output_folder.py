"""A folder that an action has written, brought to this machine.

Guarantees
  Everything is created in a new folder, and nothing outside of it, whatever the server sends.
  Each file has the digest that the tree of the folder names.
  No link leads to anything that the action did not have, nor climbs out of another link, where
  links are judged.
  Files that the action left as they were are those of this machine, with their times; all others
  have one time, so that none is older than what it was made from.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)

from envy.cache.trees import DIRECTORY, LINK
from envy.content.below_root import BelowRoot, open_below
from envy.content.brought import Brought, LeadsOutside
from envy.content.open_file import write_all
from envy.content.spelling import ABOUT_NAMES, SameToFileSystem
from envy.content.unpacked_size import UnpackedTooLarge
from envy.errors import ArchiveError
from envy.sharing.actions import NotExecuted, RemoteAction, ResultNotUsed
from envy.sharing.remote.blobs import Blobs, WrongBlob
from envy.sharing.remote.input_root import FileDigests
from envy.sharing.remote.payload_tree import TreeMember, UnusableTree, tree_members


class OutputFolder:
    """How one folder of an action is brought here."""

    def __init__(
        self,
        blobs: Blobs,
        digests: FileDigests,
        *,
        shown: str,
        before: Mapping[str, str],
        links: Mapping[str, str],
        top: str,
        inside: Collection[str] | None,
    ) -> None:
        """`before` are the files that were sent, and `links` the targets of links, by path.

        `top` is the absolute path that the folder had for the action; links lead to what is below
        one of `inside`, or anywhere if that is None.
        """
        self._blobs = blobs
        self._digests = digests
        self._shown = shown
        self._before = before
        self._links = links
        self._top = top
        self._inside = None if inside is None else [posixpath.normpath(path) for path in inside]
        self._time = time.time_ns()

    def bring(self, tree: bytes, folder: str) -> None:
        """Create the content of a tree in a new folder.

        Raises:
            NotExecuted: the server sent something that is not used.
            NotFound: it does not have all of it any more; FetchError: it does not answer.
            OSError: a file cannot be written.
        """
        try:
            members = list(tree_members(tree, self._shown))
            for member in members:
                self._check(member)
            with open_below(folder) as below:
                self._create(members, below)
        except (UnusableTree, UnpackedTooLarge) as error:
            raise ResultNotUsed(error.message, uri=self._shown, hint=error.hint) from error
        except ArchiveError as error:
            raise NotExecuted(error.message, uri=self._shown, hint=error.hint) from error
        except WrongBlob as error:
            raise NotExecuted(error.message, uri=self._shown) from error
        except (LeadsOutside, SameToFileSystem) as error:
            raise self._unusable(error.message) from None
        except OSError as error:
            if error.errno not in ABOUT_NAMES:
                raise
            raise self._unusable(error.strerror or str(error)) from None

    def _unusable(self, reason: str) -> ResultNotUsed:
        return ResultNotUsed(
            f"what an action has written cannot be used: {reason}", uri=self._shown
        )

    def _check(self, member: TreeMember) -> None:
        path = "/".join(member.parts)
        if self._inside is None or member.kind != LINK:
            return
        if self._links.get(path) != member.target:
            above = posixpath.join(self._top, posixpath.dirname(path))
            if not _leads_into(above, member.target, self._inside):
                raise ResultNotUsed(
                    f"it made the link {posixpath.basename(self._top)}/{path} → "
                    f"{member.target[:200]!r}, which leads elsewhere",
                    uri=self._shown,
                )

    def _create(self, members: Sequence[TreeMember], below: BelowRoot) -> None:
        places: dict[str, list[TreeMember]] = {}
        wanted: list[reapi.Digest] = []
        for member in members:
            if member.kind == DIRECTORY:
                below.real_folder(member.parts)
            elif member.digest is not None and not self._is_kept(member, below):
                below.unpacked.add(member.digest.size_bytes, Path(self._shown))
                places.setdefault(member.digest.hash, []).append(member)
                wanted.append(member.digest)
        self._download(wanted, places, below)
        for member in members:  # last: no file is written through one
            if member.kind == LINK:
                name = "/".join(member.parts)
                brought = Brought(self._shown, name, member.target, judged=False)
                below.create_link(member.parts, brought)

    def _download(
        self,
        wanted: Sequence[reapi.Digest],
        places: Mapping[str, Sequence[TreeMember]],
        below: BelowRoot,
    ) -> None:
        for digest, pieces in self._blobs.download(wanted):
            first, *others = places[digest.hash]
            hasher = hashlib.sha256()
            with self._new_file(first, below) as descriptor:
                for piece in pieces:
                    hasher.update(piece)
                    write_all(descriptor, piece)
            if hasher.hexdigest() != digest.hash:
                raise NotExecuted(
                    f"{self._shown} sent other content for {'/'.join(first.parts)}",
                    uri=self._shown,
                )
            for other in others:
                with (
                    open(below.open_file(first.parts), "rb") as file,
                    self._new_file(other, below) as descriptor,
                ):
                    while data := file.read(1 << 20):
                        write_all(descriptor, data)

    def _is_kept(self, member: TreeMember, below: BelowRoot) -> bool:
        """Take the file of this machine if the action left it as it was."""
        source = self._before.get("/".join(member.parts))
        if source is None or member.digest is None:
            return False
        digest, executable = self._digests.of(source)
        if digest.hash != member.digest.hash or executable != member.executable:
            return False
        path = os.path.join(below.root, *member.parts)  # its folder was created just now
        below.real_folder(member.parts[:-1])
        with contextlib.suppress(OSError):  # no hard links: then it is downloaded
            os.link(source, path, follow_symlinks=False)
            return True
        return False

    @contextlib.contextmanager
    def _new_file(self, member: TreeMember, below: BelowRoot) -> Iterator[int]:
        descriptor = below.create_file(member.parts, 0o777 if member.executable else 0o666)
        try:
            yield descriptor
            os.utime(descriptor, ns=(self._time, self._time))
        finally:
            os.close(descriptor)


def targets_within(action: RemoteAction) -> list[str]:
    """Return the absolute paths of what an action had: links may lead to, or below, them.

    So they may by a link to the folder that it is in, such as the padded path of a cache.
    """
    own = f"{action.folder}/"
    names = [action.folder, *action.payloads]
    names += [path for path in action.files if not path.startswith(own)]
    others = []
    for link, target in action.links.items():
        if target == "." and not link.startswith(own):
            above = posixpath.dirname(link)
            top = f"{above}/" if above else ""
            others += [f"{link}/{path[len(top) :]}" for path in names if path.startswith(top)]
    return [f"/{path}" for path in (*names, *others)]


def _leads_into(above: str, target: str, inside: Collection[str]) -> bool:
    """Return whether a link in a folder leads to, or below, one of these paths.

    A `..` after a name is refused: the name may be another link, from which it would climb.
    """
    names = target.split("/")
    climbs = 0
    if not target.startswith("/"):
        while climbs < len(names) and names[climbs] in {"..", "."}:
            climbs += 1
    if not target or ".." in names[climbs:]:
        return False
    path = posixpath.normpath(posixpath.join(above, target))
    return any(path == top or path.startswith(f"{top}/") for top in inside)
