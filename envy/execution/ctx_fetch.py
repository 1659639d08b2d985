"""`ctx.fetch` and `ctx.commit_fetch`: files that a recipe's function downloads and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.cache.trees import digest_file
from envy.content import file_operations
from envy.content.folder_walk import NotTaken, rules_of, walk
from envy.declarations import fields
from envy.declarations.source_digests import DIGEST_LENGTHS
from envy.declarations.sources import (
    Scheme,
    SourceItem,
    local_path,
    parse_source_items,
    scheme_of,
)
from envy.errors import DeclarationError, InternalError
from envy.execution.own_paths import input_part, package_path
from envy.execution.phase_run import PhaseRun
from envy.execution.transfer import fetch_batch
from envy.lua.values import LuaValue
from envy.transport.digests import ExpectedDigest, verify_digest


def fetch_for_ctx(run: PhaseRun, spec: object) -> LuaValue:
    """`ctx.fetch`: fetch files into the run directory; return one name, or a list for a list."""
    items = parse_source_items(spec, origin=None, base_dir=run.base_dir)
    for item in items:
        _check_local(run, item)
    fetched = fetch_batch(run.recipe, run.engine, items, run.run_dir)
    names: list[LuaValue] = []
    for item, result in zip(items, fetched, strict=True):
        name = str(result.path.relative_to(run.run_dir))
        run.sources[name] = item
        names.append(name)
    return names if isinstance(spec, list) else names[0]


def _check_local(run: PhaseRun, item: SourceItem) -> None:
    """Check that a local file is in the key, like every file that a function reads."""
    if scheme_of(item.source) not in {Scheme.LOCAL, Scheme.FILE}:
        return
    rules = rules_of(exclude=item.exclude, follow=item.follow, history=item.vcs)
    try:
        run.note_tree(local_path(item) / item.subdir, rules)
    except NotTaken as error:
        raise DeclarationError(f"ctx.fetch: {error.why}", hint=error.hint) from None
    if not run.may_read(local_path(item)):
        raise DeclarationError(
            f"ctx.fetch: {item.source} is in the recipe's folder but not in its `inputs`, so envy "
            "would not notice a change to it",
            hint=f'add it: inputs = {{ "{item.source}" }}',
        )
    _check_taken(run, item, rules)


def _check_taken(run: PhaseRun, item: SourceItem, rules: str) -> None:
    """Check that what is fetched of a folder of `inputs` is what its key was computed from."""
    path = local_path(item) / item.subdir
    if input_part(run, path) is None or not path.is_dir():
        return
    try:
        rows = list(walk(str(path), rules))
    except NotTaken as error:
        raise DeclarationError(f"ctx.fetch: {error.why}", hint=error.hint) from None
    for relative, *_ in rows:
        if not run.may_read(path / relative):
            raise DeclarationError(
                f"ctx.fetch: {relative} of {item.source} is left out of `inputs`, so envy would "
                "not notice a change to it",
                hint=f'leave it out here, too: {{ source = "{item.source}", exclude = {{…}} }}',
            )


def commit_for_ctx(run: PhaseRun, arguments: Sequence[object]) -> None:
    """`ctx.commit_fetch`: verify files, then move all of them or none; others are copied."""
    fetch_dir = run.fetch_dir
    if fetch_dir is None:
        raise InternalError("ctx.commit_fetch was called without a folder to commit to")
    wanted: list[object] = []
    for argument in arguments:
        wanted += argument if isinstance(argument, list) else [argument]
    if not wanted:
        raise DeclarationError(
            "ctx.commit_fetch: no file is named", hint="write ctx.commit_fetch(name)"
        )
    commits = [_check_commit(run, row) for row in wanted]
    _check_names(run, commits)
    for commit in commits:
        path = commit.path
        target = fetch_dir / path.name
        file_operations.remove(target)
        if path.is_symlink() or not _is_made_here(run, path):
            # A relative link would mean something else there; and what is elsewhere stays there.
            file_operations.copy(path, target)
        else:
            file_operations.move(path, target)
        # Without `./`, a name may look like the scheme of a source.
        item = run.sources.get(commit.name) or SourceItem(
            source=f"./{path.name}", base_dir=run.run_dir
        )
        run.recipe.work.fetched[path.name] = replace(
            item,
            into=commit.into or item.into or (path.name if target.is_dir() else ""),
            overlay=commit.overlay or item.overlay,
        )


def _is_made_here(run: PhaseRun, path: Path) -> bool:
    """Return whether a file lies in the run directory, and not behind a link that leads out."""
    return path.parent.resolve().is_relative_to(run.run_dir.resolve())


@dataclass(frozen=True, slots=True)
class _Commit:
    """One argument of ctx.commit_fetch: a file or folder, and how it is to be unpacked."""

    name: str
    path: Path
    into: str
    overlay: bool


def _check_names(run: PhaseRun, commits: Sequence[_Commit]) -> None:
    taken = {name: name for name in run.recipe.work.fetched}
    for commit in commits:
        first = taken.setdefault(commit.path.name, commit.name)
        if first is not commit.name:
            raise DeclarationError(
                f"ctx.commit_fetch: {first} and {commit.name} have the same file name, "
                f'"{commit.path.name}"',
                hint=f'rename one of them first: ctx.move("{commit.name}", "NAME")',
            )


def _check_commit(run: PhaseRun, row: object) -> _Commit:
    table = {"filename": row} if isinstance(row, str) else row
    if not isinstance(table, dict):
        raise DeclarationError(
            "ctx.commit_fetch takes names and tables such as { filename = name, sha256 = … }"
        )
    known = frozenset({"filename", *DIGEST_LENGTHS, "into", "overlay"})
    fields.check_known(table, known, what="an argument of ctx.commit_fetch", origin=None)
    name = table.get("filename")
    if not isinstance(name, str) or not name:
        raise DeclarationError("ctx.commit_fetch: `filename` is missing")
    path = file_operations.resolve(run.run_dir, name)
    package_path(run, path, follow=True, reading=True)
    if not file_operations.exists(path):
        raise DeclarationError(
            f"ctx.commit_fetch: there is no {name} in {run.run_dir}",
            hint="fetch it first: ctx.fetch(…) returns its name",
        )
    for algorithm in DIGEST_LENGTHS:
        expected = str(table.get(algorithm) or "").lower()
        if expected and path.is_dir():
            raise DeclarationError(
                f"ctx.commit_fetch: {name} is a folder, and a folder has no digest",
                hint=f"remove {algorithm}, or verify its files",
            )
        if expected:
            _verify(path, algorithm, expected)
    return _Commit(
        name=name,
        path=path,
        into=fields.inner_path(table, "into", origin=None),
        overlay=fields.flag(table, "overlay", origin=None),
    )


def _verify(path: Path, algorithm: str, expected: str) -> None:
    if algorithm == "blake3":
        actual = digest_file(path)
    else:
        import hashlib

        with path.open("rb") as file:
            actual = hashlib.file_digest(file, algorithm).hexdigest()
    verify_digest(actual, ExpectedDigest(algorithm=algorithm, hexdigest=expected), uri=path.name)
