"""The submodules of a commit, and the addresses that they may have.

Owns the reading of `.gitmodules`. envy fetches submodules itself, like any other repository:
`git submodule` would let the user's settings choose, replace and run programs for them.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envy.errors import FetchError
from envy.transport.addresses import HTTP, check_named, redacted
from envy.transport.context import FetchContext
from envy.transport.git_program import Checkout, git, run_git, without_protocols

_SCHEMES = HTTP | {"git", "git+ssh", "ssh", "ssh+git"}
_SCP_FORM = re.compile(r"((?:[\w.-]+@)?\w[\w.-]+):(?!:|//)(.*)", re.DOTALL)
_ROOT = re.compile(r"[A-Za-z][\w+.-]*://[^/]*|(?:[\w.-]+@)?\w[\w.-]+:(?!//)")
_SUBMODULE = "160000"  # the mode of an entry that is a commit of another repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule of a commit; `path` is relative to the root of the tree."""

    path: str
    address: str
    commit: str


def submodules_of(checkout: Checkout, context: FetchContext) -> list[Submodule]:
    """Return the submodules of a commit, without those whose `update` is `none`.

    Raises:
        FetchError: a submodule has no address, or one that the repository must not name.
    """
    address = checkout.address
    commits = _commits_by_path(checkout, context)
    if not commits:
        return []
    tables = {
        table["path"]: table for table in _declared(checkout, context).values() if "path" in table
    }
    found = []
    for path, wanted in commits.items():
        table = tables.get(path, {})
        if table.get("update") == "none":
            continue
        if not table.get("url"):
            raise FetchError(
                f"{redacted(address)} has the submodule {path}, but its .gitmodules names no "
                "address for it",
                uri=redacted(address),
                hint="without submodules = true, its folder stays empty",
            )
        found.append(Submodule(path=path, address=_absolute(table["url"], address), commit=wanted))
    return found


def check_address(address: str, *, by: str) -> None:
    """Raise unless the repository at `by` may name `address`.

    Raises:
        FetchError: `address` is a file, and `by` is not on this machine; or it runs a program.
    """
    check_named(_as_url(address), by=_as_url(by), schemes=_SCHEMES)


def refusals(
    checkout: Checkout, environment: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings and variables with which git itself refuses forbidden addresses."""
    if not checkout.by or _as_url(checkout.by).startswith("file:"):
        return {}, {}
    variables = {"GIT_PROTOCOL_FROM_USER": "0"}
    if "GIT_ALLOW_PROTOCOL" in environment:
        allowed = environment["GIT_ALLOW_PROTOCOL"]
        variables["GIT_ALLOW_PROTOCOL"] = without_protocols(allowed, "ext", "file")
    return {"protocol.file.allow": "never"}, variables


def _commits_by_path(checkout: Checkout, context: FetchContext) -> dict[str, str]:
    arguments = ["ls-files", "--stage", "-z"]
    listed = git(arguments, checkout.address, context, cwd=checkout.path)
    rows = (os.fsdecode(row).partition("\t") for row in listed.split(b"\0") if row)
    return {path: head.split()[1] for head, _, path in rows if head.startswith(_SUBMODULE)}


def _declared(checkout: Checkout, context: FetchContext) -> dict[str, dict[str, str]]:
    """Return the fields of each submodule in `.gitmodules`, by the submodule's name."""
    blob = f"{checkout.commit}:.gitmodules"
    arguments = ["config", "-z", "--blob", blob, "--get-regexp", "^submodule[.]"]
    code, output, _ = run_git(arguments, context, cwd=checkout.path)
    tables: dict[str, dict[str, str]] = {}
    for row in output.split(b"\0") if code == 0 else []:
        key, _, value = os.fsdecode(row).partition("\n")
        name, _, field = key.removeprefix("submodule.").rpartition(".")
        tables.setdefault(name, {})[field] = value
    return tables


def _absolute(url: str, address: str) -> str:
    """Return the address of a submodule, which may be relative to that of its repository."""
    if not url.startswith(("./", "../")):
        check_address(url, by=address)
        return url
    root = found[0] if (found := _ROOT.match(address)) else ""
    folders = address[len(root) :].rstrip("/").split("/")
    rest = url
    while rest.startswith(("./", "../")):
        step, _, rest = rest.partition("/")
        if step == ".." and folders[-1:] in ([], [""]):
            raise FetchError(
                f"{redacted(address)} names {url} for a submodule, which is above the root of the "
                "server",
                uri=redacted(address),
            )
        if step == "..":
            folders.pop()
    if ".." in rest.split("/"):
        raise FetchError(
            f"{redacted(address)} names {url} for a submodule, which has a `..` in its middle",
            uri=redacted(address),
        )
    return root + "/".join([*folders, rest])


def _as_url(address: str) -> str:
    if address.startswith("file:"):
        return address
    if found := _SCP_FORM.fullmatch(address):
        return f"ssh://{found[1]}/{found[2].lstrip('/')}"
    return Path(address).as_uri() if Path(address).is_absolute() else address
