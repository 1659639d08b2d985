"""Git repositories: one commit as a plain tree, fetched by the git program.

Owns how a ref becomes a commit and a commit becomes a tree. The history is not kept, so that the
same commit is the same tree everywhere.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from envy.content import file_operations
from envy.content.atomic import temporary_beside, written_whole
from envy.declarations.sources import SourceItem, file_name, git_address
from envy.errors import FetchError, ScriptFailed
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, Fetched
from envy.transport.source_tree import inner_folder, tree_size
from envy.transport.target import target_in

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}", re.IGNORECASE)
# Set by git for its hooks; with them, every command would use the repository of the hook.
_INHERITED = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
)


def resolve_commit(item: SourceItem, context: FetchContext) -> str:
    """Return the commit that `ref` names; a full hash needs no request."""
    if _COMMIT.fullmatch(item.ref):
        return item.ref.lower()
    address = git_address(item)
    return context.memo.once(
        ("git", address, item.ref), lambda: _request_commit(address, item.ref, context)
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
        inner_folder(checkout, item.subdir, redacted(address)).rename(part)
    size = tree_size(target)
    context.progress(redacted(address), size, size)
    return Fetched(
        path=target,
        bytes=size,
        sha256="",
        uri=f"{redacted(address)}#{commit}",
        verified=bool(_COMMIT.fullmatch(item.ref)),
    )


def _request_commit(address: str, ref: str, context: FetchContext) -> str:
    wanted = ref or "HEAD"
    patterns = [wanted, f"{wanted}^{{}}"]
    listed = _git(["ls-remote", "--", address, *patterns], address, context)
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

    listed = _git(["ls-remote", "--heads", "--tags", "--", address], address, context)
    names = [re.sub(r"^refs/(heads|tags)/|\^{}$", "", name) for _, name in _rows(listed)]
    near = nearest(ref, names)
    if _ABBREVIATED.fullmatch(ref):
        hint = "name a commit by its full hash of 40 digits: git rev-parse " + ref
    elif near:
        hint = f'did you mean "{near}"?'
    else:
        hint = f"git ls-remote {redacted(address)} lists its branches and tags"
    return FetchError(
        f"{redacted(address)} has no branch or tag {ref}", uri=redacted(address), hint=hint
    )


def _check_out(item: SourceItem, commit: str, checkout: Path, context: FetchContext) -> None:
    address = git_address(item)
    form = ["--object-format=sha256"] if len(commit) == 64 else []
    _git(["init", "-q", "--template=", *form, str(checkout)], address, context)
    # Relative addresses of submodules are relative to the remote of this name.
    _git(["config", "remote.origin.url", address], address, context, cwd=checkout)
    _fetch_commit(item, commit, checkout, context)
    _git(["checkout", "-q", "--detach", commit], address, context, cwd=checkout)
    if item.submodules:
        _check_out_submodules(address, checkout, context)


def _fetch_commit(item: SourceItem, commit: str, checkout: Path, context: FetchContext) -> None:
    address = git_address(item)
    shallow = ["fetch", "-q", "--depth=1", "--no-tags", "origin"]
    attempts = [[*shallow, commit]]
    if item.ref.lower() != commit and not item.ref.startswith("-"):
        attempts.append([*shallow, item.ref or "HEAD"])
    for arguments in attempts:
        # Some servers serve no single commit, or no shallow copy at all.
        code, _, _ = _run(arguments, context, cwd=checkout)
        if code == 0 and _has_commit(commit, checkout, context):
            return
        context.check_cancelled()
    everything = ["+refs/heads/*:refs/envy/heads/*", "+refs/tags/*:refs/envy/tags/*"]
    unshallow = ["--unshallow"] if (checkout / ".git" / "shallow").is_file() else []
    _git(["fetch", "-q", *unshallow, "origin", *everything], address, context, cwd=checkout)
    if not _has_commit(commit, checkout, context):
        raise FetchError(
            f"{redacted(address)} has no commit {commit}",
            uri=redacted(address),
            hint="none of its branches and tags contains the commit; was the commit pushed?",
        )


def _has_commit(commit: str, checkout: Path, context: FetchContext) -> bool:
    return _run(["cat-file", "-e", f"{commit}^{{commit}}"], context, cwd=checkout)[0] == 0


def _check_out_submodules(address: str, checkout: Path, context: FetchContext) -> None:
    # git forbids submodules by path, since a remote repository could name any path of this machine;
    # a repository on this machine itself is no such risk.
    is_local = address.startswith("file:") or Path(address).is_absolute()
    allowed = ["-c", "protocol.file.allow=always"] if is_local else []
    update = [*allowed, "submodule", "-q", "update", "--init", "--recursive"]
    if _run([*update, "--depth=1"], context, cwd=checkout)[0] != 0:
        _git(update, address, context, cwd=checkout)


# --- the program ------------------------------------------------------------------------------


def _git(
    arguments: list[str], address: str, context: FetchContext, *, cwd: Path | None = None
) -> bytes:
    code, output, errors = _run(arguments, context, cwd=cwd)
    if code == 0:
        return output
    text = errors.decode(errors="replace").strip().replace(address, redacted(address))
    verb = next(word for word in arguments if not word.startswith("-"))
    raise FetchError(
        f"git {verb} failed for {redacted(address)}:\n"
        + "\n".join(f"  | {_without_secret(line, address)}" for line in text.splitlines()),
        uri=redacted(address),
        hint=_hint_of(text),
    )


def _run(
    arguments: list[str], context: FetchContext, *, cwd: Path | None = None
) -> tuple[int, bytes, bytes]:
    context.check_cancelled()
    settings = ["-c", "core.autocrlf=false", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"]
    try:
        return context.run(
            ["git", *settings, *arguments], cwd=cwd, env=_environment(context.environment)
        )
    except ScriptFailed as error:
        raise FetchError(
            f"the program git could not be run: {error.message}",
            uri="git",
            hint="git sources need git; install git and try again",
        ) from error


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in _INHERITED}
    # Without these, git and ssh would wait for a password to be typed.
    kept["GIT_TERMINAL_PROMPT"] = "0"
    kept.setdefault("GIT_ASKPASS", "")
    if "GIT_SSH" not in kept:
        kept.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    kept["LC_ALL"] = "C"
    return kept


def _without_secret(line: str, address: str) -> str:
    user, at, _ = address.partition("@")
    secret = user.rpartition("://")[2].partition(":")[2] if at else ""
    return line.replace(secret, "***") if secret else line


def _hint_of(text: str) -> str:
    if "Authentication failed" in text or "terminal prompts disabled" in text:
        return "the repository requires credentials; configure a credential helper, or use ssh"
    if "Permission denied" in text or "publickey" in text:
        return "ssh was refused; check that your key is loaded (ssh-add -l) and known to the server"
    if "not found" in text.lower() or "does not exist" in text:
        return "check the spelling of the address, and whether you may read the repository"
    return ""
