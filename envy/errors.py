"""The tree of mistakes a user can meet.

Structure first, sentence last: an error carries what it is about as fields, and `str()` of it is
the whole message, with the remedy under it. The command line prints that and never a traceback;
only InternalError, a bug of ours, shows one.

    EnvyError               .hint, .exit_code
    ├── UsageError          bad words on the command line (exit code 2)
    ├── ManifestError       .origin
    ├── DeclarationError    .origin   a field, an option or an identity that cannot be
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
    ├── RecipeError         .key .phase: what a recipe's worker ended with
    │   ├── PhaseFailed     .cause .chain .log_path .log_tail
    │   └── DependencyFailed  .dependency .root  (aborted, not failed)
    ├── Cancelled           the user ended the run (exit code 130)
    │   └── StoppedEarly    --fail-fast did
    └── InternalError       a bug
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where something was written: a file and, when known, a line (1-based; 0 is unknown)."""

    path: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


class EnvyError(Exception):
    """What a user can meet; `str()` of it is what is printed."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(EnvyError):
    """Words on the command line that cannot be."""

    exit_code = 2


class _Located(EnvyError):
    """A mistake in a file, shown as `FILE:LINE: message`."""

    def __init__(
        self, message: str, *, origin: SourceLocation | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.origin}: {text}" if self.origin else text


class ManifestError(_Located):
    """A mistake in envy.lua, or no envy.lua at all."""


class DeclarationError(_Located):
    """A field, an option, an identity or a dependency that cannot be as it is written."""


@dataclass(frozen=True, slots=True)
class LuaFrame:
    """One line of Lua that was being executed, innermost first in a list of them."""

    path: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f" (in {self.function})" if self.function else "")


class LuaScriptError(EnvyError):
    """An error raised inside Lua code; `cause` is what a ctx function raised, if it was one."""

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
    """A source that could not be brought here."""

    def __init__(self, message: str, *, uri: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.uri = uri


class DigestMismatch(FetchError):
    """What came is not what was promised."""

    def __init__(self, *, uri: str, algorithm: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{algorithm} of {uri} is not the one that was declared\n"
            f"  expected {expected}\n  actual   {actual}",
            uri=uri,
            hint="if the new content is right, declare the actual digest",
        )
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class ArchiveError(EnvyError):
    """An archive that is damaged, or an entry in it that may not be extracted."""

    def __init__(self, message: str, *, archive: Path, member: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.archive = archive
        self.member = member


class ScriptFailed(EnvyError):
    """A script or program that ended badly; `tail` is the end of its output."""

    def __init__(
        self,
        *,
        command: str,
        exit_code: int,
        signal: int | None = None,
        tail: str = "",
        reason: str = "",
        hint: str = "",
    ) -> None:
        how = reason or (f"was killed by signal {signal}" if signal else f"exited {exit_code}")
        self.quoted_tail = "".join(f"\n  | {line}" for line in tail.splitlines())
        super().__init__(f"script {how}: {command}{self.quoted_tail}", hint=hint)
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
    """Something is wrong with how recipes refer to each other."""


class CycleError(GraphError):
    """Recipes that need each other.

    `cycle` is (key, needed_by, origin of the edge to the next one), from the least key round to it.
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
    """A query that several packages answer."""

    def __init__(self, query: str, *, candidates: Sequence[str]) -> None:
        rows = "\n".join(f"    {candidate}" for candidate in candidates)
        super().__init__(
            f"{query!r} could be any of {len(candidates)} packages; ask with one of\n{rows}"
        )
        self.query = query
        self.candidates = tuple(candidates)


class QueryNotFound(GraphError):
    """A query that no package answers."""

    def __init__(self, query: str, *, nearest: Sequence[str] = (), hint: str = "") -> None:
        near = f"; did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(f"no package answers to {query!r}{near}", hint=hint)
        self.query = query
        self.nearest = tuple(nearest)


class AmbiguousReferences(GraphError):
    """References of recipes that several packages answer; all of them at once."""

    def __init__(self, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        lines = []
        for reference, candidates in rows:
            lines.append(f"several packages answer to {reference}:")
            lines += [f"    {candidate}" for candidate in candidates]
        super().__init__(
            "\n".join(lines),
            hint="let `recipe` of the reference say more (a namespace, a revision, options; for a "
            "product, whose), or give the one that is meant an alias in the manifest and refer to "
            "that",
        )
        self.rows = tuple((reference, tuple(candidates)) for reference, candidates in rows)


class MissingReferences(GraphError):
    """References that nothing answers, a line for each; all of them at once."""

    def __init__(self, rows: Sequence[str]) -> None:
        super().__init__(
            "\n".join(rows),
            hint="add a package that does to the manifest, or make the dependency weak: "
            "{ recipe = …, weak = { recipe = …, source = … } }",
        )
        self.rows = tuple(rows)


class RecipeError(EnvyError):
    """What the worker of a recipe ended with."""

    def __init__(self, message: str, *, key: str, phase: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.phase = phase


class PhaseFailed(RecipeError):
    """A root failure: this recipe's own phase went wrong, by `cause`.

    `where` is the place in the recipe that the phase is written at, for a cause that names none.
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
        """The lines that say what went wrong; output that the log's end shows is left to that."""
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
    """Aborted before `phase`, because `dependency` did not complete; `root` is what went wrong."""

    def __init__(self, *, key: str, phase: str, dependency: str, root: Exception) -> None:
        origin = root.key if isinstance(root, RecipeError) else dependency
        through = f", which {dependency} needs" if origin != dependency else ""
        super().__init__(
            f"{key}: not built, because {origin} failed{through}", key=key, phase=phase
        )
        self.dependency = dependency
        self.root = root


class NotPlanned(RecipeError):
    """A recipe that this command leaves alone: to know it, something would have to be installed.

    No mistake of anybody's: the next command that installs goes on from here.
    """


class Cancelled(EnvyError):
    """The run was ended by the user."""

    exit_code = 130


class StoppedEarly(Cancelled):
    """The run was ended by its first failure, with --fail-fast, and not by the user."""

    exit_code = 1


class InternalError(EnvyError):
    """A bug of envy's own."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="this is a bug in envy; please report it with the traceback")


def wrap_unknown_error(error: Exception) -> EnvyError:
    """Return the error that a user is shown for any exception.

    An EnvyError is returned unchanged, an error of the operating system is put in words, and
    anything else is a bug.
    """
    if isinstance(error, EnvyError):
        return error
    if isinstance(error, OSError):
        return EnvyError(os_error_text(error))
    return internal_error(error, shows_traceback=True)


def os_error_text(error: OSError) -> str:
    """Return the system's reason, followed by the path if the error has one."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


def internal_error(error: Exception, *, shows_traceback: bool) -> InternalError:
    """Return the InternalError for an exception that no code was prepared for."""
    text = f"{type(error).__name__}: {error}"
    if shows_traceback:
        # Imported only for a bug: every command imports this module.
        import traceback

        text += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return InternalError(text)
