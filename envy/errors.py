"""The errors that a user can see.

An error carries its facts as fields; `str(error)` is the whole message, with the hint below it.
The command line prints that message and no traceback; only InternalError, a bug in envy, has one.

    EnvyError               .hint, .exit_code
    ├── UsageError          an invalid command line (exit code 2)
    ├── ManifestError       .origin
    ├── DeclarationError    .origin   an invalid field, option or dependency
    │   └── InvalidIdentity .identity .suggestion
    ├── LuaScriptError      .frames   an error inside Lua code
    ├── FetchError          .uri
    │   └── DigestMismatch  .expected .actual
    ├── ArchiveError        .archive .member
    ├── ScriptFailed        .command .exit_code .signal .tail
    ├── CacheError          .path
    ├── GraphError
    │   ├── CycleError      .cycle
    │   ├── AmbiguousQuery  .candidates
    │   ├── AmbiguousReferences, MissingReferences  .rows
    │   └── QueryNotFound   .nearest
    ├── RecipeError         .key .phase: how a recipe ended
    │   ├── PhaseFailed     .cause .chain .log_path .log_tail
    │   └── DependencyFailed  .dependency .root  (aborted, not failed)
    ├── Cancelled           the user stopped the run (exit code 130)
    │   └── StoppedEarly    --fail-fast stopped it
    └── InternalError       a bug
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.masking import cut_short
from envy.os_errors import os_error_hint, os_error_text


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A file and, if known, a line in it (from 1; 0 is unknown)."""

    path: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


class EnvyError(Exception):
    """An error that is shown to the user: `str(error)` is what the command line prints."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = cut_short(message)
        self.hint = cut_short(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(EnvyError):
    """An invalid command line."""

    exit_code = 2


class _Located(EnvyError):
    """An error in a file, shown as `FILE:LINE: message`."""

    def __init__(
        self, message: str, *, origin: SourceLocation | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.origin}: {text}" if self.origin else text


class ManifestError(_Located):
    """An error in envy.lua, or a missing envy.lua."""


class DeclarationError(_Located):
    """An invalid field, option, identity or dependency in a manifest or recipe."""


class InvalidIdentity(DeclarationError):
    """A text that is not `namespace.name@revision`."""

    def __init__(self, identity: str, problem: str) -> None:
        super().__init__(
            f'"{identity}" is not a valid identity: {problem}',
            hint="an identity is namespace.name@revision, such as local.python@r4",
        )
        self.identity = identity
        self.suggestion = ""

    def suggest(self, identity: str) -> None:
        """Add a known identity to the message; only the first suggestion counts."""
        if not self.suggestion:
            self.suggestion = identity
            self.message += f"; did you mean {identity}?"


@dataclass(frozen=True, slots=True)
class LuaFrame:
    """One line of a Lua stack trace; lists of frames are innermost first."""

    path: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f" (in {self.function})" if self.function else "")


class LuaScriptError(EnvyError):
    """An error raised inside Lua code; `cause` is the error of a ctx function, if one raised it."""

    def __init__(
        self,
        message: str,
        *,
        frames: Sequence[LuaFrame] = (),
        cause: Exception | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.frames = tuple(frames)
        self.cause = cause

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.frames[0]}: {text}" if self.frames else text


class FetchError(EnvyError):
    """A source that could not be fetched."""

    def __init__(self, message: str, *, uri: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.uri = uri


class DigestMismatch(FetchError):
    """A fetched file whose digest is not the declared one."""

    def __init__(self, *, uri: str, algorithm: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{algorithm} of {uri} does not match the declared digest\n"
            f"  expected {expected}\n  actual   {actual}",
            uri=uri,
            hint="if the new content is correct, declare the actual digest",
        )
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class ArchiveError(EnvyError):
    """A damaged archive, or an entry that must not be extracted."""

    def __init__(self, message: str, *, archive: Path, member: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.archive = archive
        self.member = member


class ScriptFailed(EnvyError):
    """A script or program that failed; `tail` is the end of its output."""

    def __init__(
        self,
        *,
        command: str,
        exit_code: int,
        signal: int | None = None,
        tail: str = "",
        reason: str = "",
        subject: str = "script",
        hint: str = "",
    ) -> None:
        how = reason or (f"was killed by signal {signal}" if signal else f"exited {exit_code}")
        self.quoted_tail = "".join(f"\n  | {line}" for line in tail.splitlines())
        super().__init__(f"{subject} {how}: {command}{self.quoted_tail}", hint=hint)
        self.command = command
        self.exit_code_of_script = exit_code
        self.signal = signal
        self.tail = tail


class CacheError(EnvyError):
    """The cache could not be read or written."""

    def __init__(self, message: str, *, path: Path, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class GraphError(EnvyError):
    """An error in how recipes refer to each other."""


class CycleError(GraphError):
    """Recipes that depend on each other in a circle.

    `cycle` has a (key, needed_by, location) for each edge, in order, beginning at the least key.
    """

    def __init__(self, cycle: Sequence[tuple[str, str, str]]) -> None:
        keys = [key for key, _, _ in cycle]
        around = [*keys, keys[0]]
        lines = [
            f"    {key} needs {following} by its {phase} phase ({origin})"
            for (key, phase, origin), following in zip(cycle, around[1:], strict=True)
        ]
        super().__init__(
            f"dependency cycle: {' → '.join(around)}\n" + "\n".join(lines),
            hint="remove one of these dependencies, or split what both sides need into a recipe "
            "of its own",
        )
        self.cycle = tuple(cycle)


class AmbiguousQuery(GraphError):
    """A query that several packages match."""

    def __init__(self, query: str, *, candidates: Sequence[str]) -> None:
        rows = "\n".join(f"    {candidate}" for candidate in candidates)
        super().__init__(
            f"{len(candidates)} packages answer to {query!r}; use one of these queries\n{rows}"
        )
        self.query = query
        self.candidates = tuple(candidates)


class QueryNotFound(GraphError):
    """A query that no package matches."""

    def __init__(self, query: str, *, nearest: Sequence[str] = (), hint: str = "") -> None:
        near = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"no package answers to {query!r}{near}", hint=hint)
        self.query = query
        self.nearest = tuple(nearest)


class AmbiguousReferences(GraphError):
    """All references that more than one package matches."""

    def __init__(self, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        lines = []
        for reference, candidates in rows:
            lines.append(f"several packages answer to {reference}:")
            lines += [f"    {candidate}" for candidate in candidates]
        super().__init__(
            "\n".join(lines),
            hint="make `recipe` of the reference more specific (a namespace, a revision, options; "
            "for a product, its provider), or give one package an alias in the manifest and refer "
            "to that",
        )
        self.rows = tuple((reference, tuple(candidates)) for reference, candidates in rows)


class MissingReferences(GraphError):
    """All references that no package matches, as one line each."""

    def __init__(self, rows: Sequence[str]) -> None:
        super().__init__(
            "\n".join(rows),
            hint="add a matching package to the manifest, or make the dependency weak: "
            "{ recipe = …, weak = { recipe = …, source = … } }",
        )
        self.rows = tuple(rows)


class RecipeError(EnvyError):
    """The reason why a recipe was not completed."""

    def __init__(self, message: str, *, key: str, phase: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.phase = phase


class PhaseFailed(RecipeError):
    """A root failure: a phase of this recipe failed, because of `cause`.

    `where` is the location of the phase in the recipe, for a cause that has no location itself.
    """

    def __init__(
        self,
        *,
        key: str,
        phase: str,
        cause: Exception,
        where: SourceLocation | None = None,
        chain: Sequence[str] = (),
        log_path: Path | None = None,
        log_tail: Sequence[str] = (),
    ) -> None:
        super().__init__(str(cause), key=key, phase=phase)
        self.cause = cause
        self.where = where
        self.chain = tuple(chain)
        self.log_path = log_path
        self.log_tail = tuple(log_tail)

    def __str__(self) -> str:
        lines = [f"{self.key}: {self.phase} failed", *self.reason]
        lines += ["  " + line for line in self.chain]
        if self.log_path:
            lines.append(f"  log: {self.log_path}{_follows(len(self.log_tail))}")
            lines += ["    " + line for line in self.log_tail]
        return "\n".join(lines)

    @property
    def reason(self) -> list[str]:
        """The lines that describe the failure, without output that the end of the log repeats."""
        text = f"{self.where}: {self.cause}" if self.where else str(self.cause)
        script = self.cause.cause if isinstance(self.cause, LuaScriptError) else self.cause
        if isinstance(script, ScriptFailed) and self.log_tail:
            text = text.replace(script.quoted_tail, "")
        return ["  " + line for line in text.splitlines()]


def _follows(count: int) -> str:
    if count == 0:
        return ""
    return " (last line follows)" if count == 1 else f" (last {count} lines follow)"


class DependencyFailed(RecipeError):
    """A recipe aborted before `phase`, because `dependency` failed; `root` is the root failure."""

    def __init__(self, *, key: str, phase: str, dependency: str, root: Exception) -> None:
        origin = root.key if isinstance(root, RecipeError) else dependency
        through = f", which {dependency} needs" if origin != dependency else ""
        super().__init__(
            f"{key}: not built, because {origin} failed{through}", key=key, phase=phase
        )
        self.dependency = dependency
        self.root = root


class NotPlanned(RecipeError):
    """A recipe that this command skips, because fetching it would need something installed.

    Not a mistake: the next command that installs packages continues from here.
    """


class Cancelled(EnvyError):
    """The user stopped the run."""

    exit_code = 130


class StoppedEarly(Cancelled):
    """The first failure stopped the run, because of --fail-fast."""

    exit_code = 1


class InternalError(EnvyError):
    """A bug in envy."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="this is a bug in envy; please report it with the traceback")


def wrap_unknown_error(error: Exception) -> EnvyError:
    """Return what is shown for any exception: an OSError in words, an unknown one as a bug."""
    if isinstance(error, EnvyError):
        return error
    if isinstance(error, OSError):
        return EnvyError(os_error_text(error), hint=os_error_hint(error))
    return internal_error(error, shows_traceback=True)


def internal_error(error: Exception, *, shows_traceback: bool) -> InternalError:
    """Return the InternalError for an unexpected exception."""
    text = f"{type(error).__name__}: {error}"
    if shows_traceback:
        # Imported only for a bug: every command imports this module.
        import traceback

        text += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return InternalError(text)
