"""Asking git what differs from a commit: in commits, in the index, in files, and untracked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.errors import EnvyError, ScriptFailed, UsageError
from envy.host.children import Children
from envy.host.process import Completed, ProcessSpec, run
from envy.suggest import nearest
from envy.testing.changes import ADDED, EDITED, REMOVED, Changes
from envy.testing.git_conversions import converted_files
from envy.testing.ignoring import is_of_tools

_VARIABLES = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "0",
    "LC_ALL": "C",
}
_SETTINGS = ("-c", "core.fsmonitor=false", "-c", "core.checkStat=default")
_SINCE_FORK = "..."
_OMIT = "omit --changed to run all tests"
_LINK = "120000"  # its mode in the index
_LETTERS = {"A": ADDED, "D": REMOVED}


def find_changes(
    ref: str, directory: Path, environment: Mapping[str, str], children: Children
) -> Changes:
    """Return what differs between a commit and the files as they are now.

    `ref` is what git calls a revision. With `...` after it, the commit is the one where HEAD left
    it. Files that git is told not to look at (`assume-unchanged`, `skip-worktree`) count as
    edited, and as removed if they are gone, unless the checkout is sparse. What tools write beside
    sources, such as `__pycache__`, does not count unless it is tracked.

    Raises:
        UsageError: there is no git, no repository or no such commit; EnvyError: git failed.
    """
    git = _Git(directory, {**environment, **_VARIABLES}, children)
    top = _top_of(git)
    git = _Git(Path(top), git.environment, children)
    tree = _tree_of(git, ref)
    words = ["diff", "--name-status", "-z", "--no-renames", "--no-ext-diff"]
    changed = git.output([*words, "--ignore-submodules=none", tree, "--"])
    rows = _statuses(changed, top)
    words = ["ls-files", "-z", "-v", "--stage", "--cached", "--others", "--exclude-standard"]
    known, links = _listed(git.output(words), top, rows, is_sparse=_is_sparse(git))
    unchanged = [path[len(top) + 1 :] for path in known if path not in rows]
    converted = {f"{top}/{name}" for name in converted_files(git.output, top, unchanged)}
    return Changes(
        ref=ref,
        top=top,
        rows=rows,
        known=frozenset(known),
        doubtful=frozenset(converted),
        links=links,
    )


def _is_sparse(git: _Git) -> bool:
    said = git.output(["config", "--type=bool", "--get", "--default=false", "core.sparseCheckout"])
    return said.strip() == b"true"


def _listed(
    data: bytes, top: str, rows: dict[str, str], *, is_sparse: bool
) -> tuple[set[str], list[str]]:
    """Return the files that git does not ignore, and the links among them; add to `rows`.

    These are rows for what is untracked, or may differ without git's looking at it.
    """
    known, links = set(), []
    for row in _texts(data):
        letter, rest = row[0], row[2:]
        facts, _, name = rest.partition("\t") if letter != "?" else ("", "", rest)
        path = f"{top}/{name.removesuffix('/')}"
        if letter == "?" and is_of_tools(name):
            continue
        known.add(path)
        if facts.startswith(_LINK) or (letter == "?" and os.path.islink(path)):  # noqa: PTH114
            links.append(path)
        if letter == "?":
            rows.setdefault(path, ADDED)
        elif letter.islower() or letter == "S":  # git was told not to look at it
            if os.path.lexists(path):
                rows.setdefault(path, EDITED)
            elif letter in "hcmr" or not is_sparse:
                rows.setdefault(path, REMOVED)
    return known, links


@dataclass(frozen=True, slots=True)
class _Git:
    directory: Path
    environment: Mapping[str, str]
    children: Children

    def call(self, words: Sequence[str]) -> Completed:
        try:
            return run(
                ProcessSpec(
                    argv=["git", *_SETTINGS, *words],
                    command=f"git {words[0]}",
                    cwd=self.directory,
                    environment=self.environment,
                    children=self.children,
                    label="git",
                    capture=True,
                )
            )
        except ScriptFailed as error:
            raise UsageError(
                "--changed asks git for the changes, and there is no git on PATH",
                hint=f"install git, or {_OMIT}",
            ) from error

    def output(self, words: Sequence[str]) -> bytes:
        completed = self.call(words)
        if completed.exit_code:
            raise EnvyError(f"--changed: git {words[0]} failed: {_said(completed)}", hint=_OMIT)
        return completed.stdout


def _top_of(git: _Git) -> str:
    completed = git.call(["rev-parse", "--show-toplevel"])
    text = os.fsdecode(completed.stdout).removesuffix("\n")
    if not completed.exit_code and text:
        return os.path.realpath(text)
    said = _said(completed)
    if "not a git repository" in said:
        raise UsageError(f"--changed: {git.directory} is not in a git repository", hint=_OMIT)
    if not said or "work tree" in said:
        raise UsageError(
            f"--changed: {git.directory} has no files that git has checked out",
            hint="run in a work tree of the repository",
        )
    raise UsageError(f"--changed: git cannot read the repository: {said}", hint=_OMIT)


def _tree_of(git: _Git, ref: str) -> str:
    """Return the commit that a revision means.

    Raises:
        UsageError: there is none.
    """
    name = ref.removesuffix(_SINCE_FORK)
    if not name or name.startswith("-") or ".." in name or not name.isprintable():
        raise UsageError(
            f"--changed: {ref!r} is not a revision of git",
            hint="a branch, a tag or a commit: --changed main; --changed main... since it was left",
        )
    found = git.call(["rev-parse", "--verify", "--quiet", f"{name}^{{tree}}"])
    if found.exit_code:
        raise _unknown(git, name)
    if ref == name:
        return found.stdout.decode("ascii", "replace").strip()
    base = git.call(["merge-base", name, "HEAD"])
    commit = base.stdout.decode("ascii", "replace").strip()
    if base.exit_code or not commit:
        fetch = "git fetch --unshallow" if _is_shallow(git) else ""
        raise UsageError(
            f"--changed: {name} and HEAD have no common commit here",
            hint=f"fetch the commits between them: {fetch}" if fetch else f"use --changed {name}",
        )
    return commit


def _unknown(git: _Git, name: str) -> UsageError:
    listed = git.call(["for-each-ref", "--format=%(refname:short)"])
    names = listed.stdout.decode("utf-8", "replace").split()
    others = [one for one in names if one.endswith(f"/{name}")]
    close = next(iter(others), None) or nearest(name, names)
    short = re.sub(r"^(?:refs/heads/|refs/tags/|origin/)", "", name)
    depth = " --depth=1" if _is_shallow(git) else ""
    hint = f"fetch it: git fetch{depth} origin {short}, then --changed FETCH_HEAD"
    return UsageError(
        f"--changed: the repository has no revision {name!r}"
        + (", and is a shallow clone" if depth else ""),
        hint=f"did you mean {close}? Or {hint}" if close else hint,
    )


def _is_shallow(git: _Git) -> bool:
    return git.call(["rev-parse", "--is-shallow-repository"]).stdout.strip() == b"true"


def _statuses(data: bytes, top: str) -> dict[str, str]:
    texts = _texts(data)
    return {
        f"{top}/{path}": _LETTERS.get(letter[:1], EDITED)
        for letter, path in zip(texts[::2], texts[1::2], strict=True)
    }


def _texts(data: bytes) -> list[str]:
    return [os.fsdecode(one) for one in data.split(b"\0") if one]


def _said(completed: Completed) -> str:
    return completed.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
