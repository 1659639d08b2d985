"""Git repositories: one commit as a plain tree, fetched by the git program.

Owns the resolution of a ref to a commit, and the creation of a tree from a commit. The history is
not kept, so that the same commit is the same tree everywhere.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from envy.content import file_operations
from envy.content.atomic import temporary_beside, written_whole
from envy.declarations.sources import SourceItem, file_name, git_address, is_full_hash
from envy.errors import FetchError
from envy.limits import GIT_SUBMODULES
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, Fetched, NotFound
from envy.transport.git_lfs import fetch_content, pointers_in, warn_of_pointers
from envy.transport.git_part import check_out_part
from envy.transport.git_program import Checkout, check_repository, git, run_git
from envy.transport.git_submodules import refusals, submodules_of
from envy.transport.source_tree import inner_folder, move_part, tree_size
from envy.transport.target import target_in

_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}", re.IGNORECASE)


def resolve_commit(item: SourceItem, context: FetchContext, known: str = "") -> str:
    """Return the commit that `ref` names; a full hash needs no request.

    `known` is the commit to take in this context, instead of asking.
    """
    if is_full_hash(item.ref):
        return item.ref.lower()
    address = git_address(item)
    return context.memo.once(
        ("git", address, item.ref), lambda: known or _request_commit(address, item.ref, context)
    )


def fetch_git(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Fetch the files of the commit that a ref names, without any of git's own."""
    address = git_address(item)
    commit = resolve_commit(item, context)
    target = target_in(into, file_name(item))
    context.progress(redacted(address), 0, 0)
    with written_whole(target) as part, temporary_beside(part) as checkout:
        _check_out(item, commit, checkout, context)
        for kept in sorted(checkout.rglob(".git")):
            file_operations.remove(kept)
        move_part(checkout, inner_folder(checkout, item.subdir, redacted(address)), part)
    size = tree_size(target)
    context.progress(redacted(address), size, size)
    return Fetched(
        path=target,
        bytes=size,
        sha256="",
        uri=f"{redacted(address)}#{commit}",
        verified=is_full_hash(item.ref),
    )


def tags_of(item: SourceItem, context: FetchContext) -> dict[str, str]:
    """Return the tags of a repository, each with the commit that it points to."""
    address = git_address(item)
    listed = git(["ls-remote", "--tags", "--", address], address, context)
    rows = [(name.removeprefix("refs/tags/"), commit) for commit, name in _rows(listed)]
    # ^{} follows the row of an annotated tag, and is the commit that it points to.
    return {name.removesuffix("^{}"): commit for name, commit in rows}


def _request_commit(address: str, ref: str, context: FetchContext) -> str:
    check_repository(address, context)
    wanted = ref or "HEAD"
    patterns = [wanted, f"{wanted}^{{}}"]
    listed = git(["ls-remote", "--", address, *patterns], address, context)
    found = {name: commit for commit, name in _rows(listed)}
    # The order of git itself; ^{} is the commit that an annotated tag points to.
    order = [wanted] if wanted == "HEAD" or wanted.startswith("refs/") else []
    order += [f"refs/tags/{wanted}", f"refs/heads/{wanted}"]
    candidates = [(name, found.get(f"{name}^{{}}") or found.get(name)) for name in order]
    commits = [commit for _, commit in candidates if commit]
    if not commits:
        raise _no_such_ref(address, wanted, context)
    if len(set(commits)) > 1:
        context.warn(
            f"{redacted(address)} has a tag and a branch named {wanted}; the tag is used "
            f"(for the branch, write refs/heads/{wanted})"
        )
    return commits[0]


def _rows(listed: bytes) -> list[tuple[str, str]]:
    rows = [line.split("\t", 1) for line in listed.decode(errors="replace").splitlines()]
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def _no_such_ref(address: str, ref: str, context: FetchContext) -> FetchError:
    from envy.suggest import nearest

    listed = git(["ls-remote", "--heads", "--tags", "--", address], address, context)
    names = [re.sub(r"^refs/(heads|tags)/|\^{}$", "", name) for _, name in _rows(listed)]
    near = nearest(ref, names)
    if _ABBREVIATED.fullmatch(ref):
        hint = "name a commit by its full hash of 40 digits: git rev-parse " + ref
    elif near:
        hint = f'did you mean "{near}"?'
    else:
        hint = f"git ls-remote {redacted(address)} lists its branches and tags"
    return NotFound(
        f"{redacted(address)} has no branch or tag {ref}", uri=redacted(address), hint=hint
    )


def _check_out(item: SourceItem, commit: str, checkout: Path, context: FetchContext) -> None:
    """Check out a commit, and its submodules if they are wanted."""
    address = git_address(item)
    waiting = [Checkout(address=address, commit=commit, path=checkout, ref=item.ref)]
    count = 0
    while waiting:
        wanted = waiting.pop()
        is_root = wanted.path == checkout
        is_part = is_root and not (item.submodules or item.lfs)
        _check_out_one(wanted, context, part=item.subdir if is_part else "")
        _fetch_stored_files(item, wanted, context, is_root=is_root)
        if item.submodules:
            found = _submodules(wanted, context)
            count += len(found)
            if count > GIT_SUBMODULES.value:
                raise _too_many_submodules(address)
            waiting += found


def _too_many_submodules(address: str) -> FetchError:
    return FetchError(
        f"{redacted(address)} has more than {GIT_SUBMODULES.shown}, nested ones included: the "
        f"limit {GIT_SUBMODULES.name}",
        uri=redacted(address),
        hint=GIT_SUBMODULES.hint,
    )


def _check_out_one(wanted: Checkout, context: FetchContext, *, part: str = "") -> None:
    """Check out a commit; only the folder `part` of it, where its server allows that."""
    check_repository(wanted.address, context)
    if part:
        _initialize(wanted, context)
        with _without_filters(wanted):
            if check_out_part(wanted, part, context):
                return
        file_operations.remove(wanted.path)
    _initialize(wanted, context)
    _fetch_commit(wanted, context)
    with _without_filters(wanted):
        checkout = ["checkout", "-q", "--detach", wanted.commit]
        git(checkout, wanted.address, context, cwd=wanted.path)


def _initialize(wanted: Checkout, context: FetchContext) -> None:
    form = "sha256" if len(wanted.commit) == 64 else "sha1"
    git(
        ["init", "-q", "--template=", str(wanted.path)],
        wanted.address,
        context,
        environment={"GIT_DEFAULT_HASH": form},
    )
    (wanted.path / ".git" / "info").mkdir(exist_ok=True)


@contextlib.contextmanager
def _without_filters(wanted: Checkout) -> Iterator[None]:
    """Let no filter of the user run, whatever its name: these attributes come before all others."""
    attributes = wanted.path / ".git" / "info" / "attributes"
    attributes.write_text("* -filter\n")
    yield
    attributes.unlink()


def _fetch_stored_files(
    item: SourceItem, wanted: Checkout, context: FetchContext, *, is_root: bool
) -> None:
    subdir = item.subdir if is_root else ""
    pointers = pointers_in(wanted, subdir, context)
    if item.lfs:
        fetch_content(pointers, wanted, context)
    else:
        warn_of_pointers(pointers, wanted.address, context)


def _submodules(wanted: Checkout, context: FetchContext) -> list[Checkout]:
    root = wanted.path.resolve()
    found = []
    for submodule in submodules_of(wanted, context):
        folder = wanted.path / submodule.path
        # git creates an empty folder for each; a link in its place would lead elsewhere.
        is_own = folder.is_dir() and folder.resolve() == root / submodule.path
        if not is_own or any(folder.iterdir()):
            raise FetchError(
                f"the submodule {submodule.path} of {redacted(wanted.address)} has no folder of "
                "its own",
                uri=redacted(wanted.address),
            )
        found.append(
            Checkout(
                address=submodule.address,
                commit=submodule.commit,
                path=folder,
                by=wanted.address,
            )
        )
    return found


def _fetch_commit(wanted: Checkout, context: FetchContext) -> None:
    address, commit, checkout = wanted.address, wanted.commit, wanted.path
    settings, variables = refusals(wanted, context.environment)
    shallow = ["fetch", "-q", "--depth=1", "--no-tags", "--", address]
    attempts = [[*shallow, commit]]
    if wanted.ref.lower() != commit and not wanted.ref.startswith("-"):
        attempts.append([*shallow, wanted.ref or "HEAD"])
    for arguments in attempts:
        # Some servers serve no single commit, or no shallow copy at all.
        code, _, _ = run_git(
            arguments, context, cwd=checkout, settings=settings, environment=variables
        )
        if code == 0 and _has_commit(commit, checkout, context):
            return
        context.check_cancelled()
    everything = ["+refs/heads/*:refs/envy/heads/*", "+refs/tags/*:refs/envy/tags/*"]
    unshallow = ["--unshallow"] if (checkout / ".git" / "shallow").is_file() else []
    git(
        ["fetch", "-q", *unshallow, "--", address, *everything],
        address,
        context,
        cwd=checkout,
        settings=settings,
        environment=variables,
    )
    if not _has_commit(commit, checkout, context):
        raise FetchError(
            f"{redacted(address)} has no commit {commit}",
            uri=redacted(address),
            hint="none of its branches and tags contains the commit; was the commit pushed?",
        )


def _has_commit(commit: str, checkout: Path, context: FetchContext) -> bool:
    return run_git(["cat-file", "-e", f"{commit}^{{commit}}"], context, cwd=checkout)[0] == 0
