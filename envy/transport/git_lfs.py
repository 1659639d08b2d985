"""Files that a repository stores with Git LFS: found as pointer files, fetched on request.

Owns the form of pointer files. Without `lfs = true` they are kept as they are in the commit,
whatever the user's settings say, so that the same commit is the same tree everywhere.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.errors import FetchError
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext
from envy.transport.git_program import Checkout, check_repository, git, run_git
from envy.transport.git_submodules import check_address, refusals

_LARGEST_POINTER = 1024
_POINTER = re.compile(
    rb"version https?://(?:git-lfs|hawser)\.github\.com/spec/v1\n"
    rb"(?P<extensions>(?:ext-[^\n]*\n)*)oid sha256:(?P<digest>[0-9a-f]{64})\nsize \d+\n?\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A pointer file; `digest` is the sha256 of its content, "" if a program changes that."""

    path: str
    digest: str


def pointers_in(checkout: Checkout, subdir: str, context: FetchContext) -> Sequence[Pointer]:
    """Return the pointer files in the folder `subdir` of a checkout."""
    # Of what is not checked out, git would ask for the attributes.
    within = f":(attr:filter=lfs,literal){subdir}" if subdir else ":(attr:filter=lfs)"
    arguments = ["ls-files", "-z", "--", within]
    listed = git(arguments, checkout.address, context, cwd=checkout.path)
    names = (os.fsdecode(name) for name in listed.split(b"\0") if name)
    inside = f"{subdir.strip('/')}/" if subdir else ""
    found = (_pointer(checkout.path, name) for name in names if name.startswith(inside))
    return [pointer for pointer in found if pointer]


def warn_of_pointers(pointers: Sequence[Pointer], address: str, context: FetchContext) -> None:
    """Warn that the content of some files is not in the repository itself."""
    if pointers:
        count = "1 file" if len(pointers) == 1 else f"{len(pointers)} files"
        context.warn(
            f"{redacted(address)} stores {count} with Git LFS ({pointers[0].path}, …), and only "
            "their pointer files are fetched; to fetch their content, add lfs = true to the source"
        )


def fetch_content(pointers: Sequence[Pointer], checkout: Checkout, context: FetchContext) -> None:
    """Replace pointer files by the content that they stand for.

    Raises:
        FetchError: git-lfs is missing or failed, or the content is not what a pointer says.
    """
    if not pointers:
        return
    address = checkout.address
    check_repository(address, context)
    if run_git(["lfs", "version"], context, cwd=checkout.path)[0] != 0:
        raise FetchError(
            f"{redacted(address)} stores files with Git LFS, and the program git-lfs cannot be run",
            uri=redacted(address),
            hint="lfs = true needs git-lfs; install git-lfs and try again",
        )
    _check_servers(checkout, context)
    settings = {
        "remote.origin.url": address,
        "lfs.fetchexclude": "",
        "lfs.fetchinclude": "",
        # git-lfs replaces pointer files only if the settings say that it is installed.
        "filter.lfs.clean": "cat",
        "filter.lfs.process": "",
        "filter.lfs.required": "false",
    }
    pull = ["lfs", "pull", "origin"]
    refused, variables = refusals(checkout, context.environment)
    git(
        pull,
        address,
        context,
        cwd=checkout.path,
        settings=settings | refused,
        environment=variables,
    )
    for pointer in pointers:
        if not _is_replaced(pointer, checkout.path):
            raise FetchError(
                f"git-lfs did not fetch the content of {pointer.path} in {redacted(address)}",
                uri=redacted(address),
                hint="check that the file was pushed: git lfs fsck in a clone of the repository",
            )


def _is_replaced(pointer: Pointer, checkout: Path) -> bool:
    if _pointer(checkout, pointer.path):
        return False
    with (checkout / pointer.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == pointer.digest or (
            not pointer.digest
        )


def _pointer(checkout: Path, name: str) -> Pointer | None:
    path = checkout / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_POINTER:
        return None
    found = _POINTER.fullmatch(path.read_bytes())
    if found is None:
        return None
    return Pointer(path=name, digest="" if found["extensions"] else found["digest"].decode())


def _check_servers(checkout: Checkout, context: FetchContext) -> None:
    """Check the addresses in the repository's own settings of git-lfs."""
    arguments = ["config", "-z", "--blob", f"{checkout.commit}:.lfsconfig", "--get-regexp", "url$"]
    code, output, _ = run_git(arguments, context, cwd=checkout.path)
    for row in output.split(b"\0") if code == 0 else []:
        url = os.fsdecode(row).partition("\n")[2]
        if url:
            check_repository(url, context)
            check_address(url, by=checkout.address)
