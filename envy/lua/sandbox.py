# Paths come from Lua as text, and joining text is several times cheaper than creating Paths.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH118
"""Access of Lua code to files and variables, and the log of what it read.

Owns the rules for files and environment variables. While a file loads, Lua code may read, and each
read is recorded because the content of the recipe depends on it; writing is an error. In a phase,
Lua code may read and write files, but read a file of the recipe's folder only if the key of the
recipe covers it.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from envy.content.file_digest import file_digest
from envy.content.plain_file import NotPlain, read_plain
from envy.errors import LuaScriptError
from envy.host.platform import Platform
from envy.limits import LUA_MEMORY, LUA_STEPS, Limit

ABSENT = {
    "io.input": "open a file with io.open",
    "io.output": "open a file with io.open",
    "io.popen": "run programs with ctx.run in a phase",
    "io.read": "recipes have no input",
    "io.stderr": "log with envy.warn or envy.error",
    "io.stdin": "recipes have no input",
    "io.stdout": "log with print, or write output with envy.stdout",
    "io.tmpfile": "use a file in ctx.tmp_dir",
    "io.write": "log with print, or write output with envy.stdout",
    "os.execute": "run programs with ctx.run in a phase",
    "os.exit": "end a phase by returning, or with error(…)",
    "os.setlocale": "the locale applies to all of envy",
    "os.tmpname": "use a file in ctx.tmp_dir",
}


@dataclass(slots=True)
class ReadLog:
    """The files and variables that a state read while loading, an ingredient of the entry key."""

    files: dict[Path, str | None] = field(default_factory=dict)
    """The digest of each file (see `content.file_digest`); None if the file did not exist."""
    variables: dict[str, str | None] = field(default_factory=dict)
    lasting: bool = True
    """False if the file read the clock or printed something, which only another load can repeat."""
    clock: bool = False  # the file read the clock
    os_version: bool = False  # it asked for the version of a system that has none (a lock's)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The settings that all states of a run have in common."""

    platform: Platform
    environment: Mapping[str, str]
    should_stop: Callable[[], bool]
    on_log: Callable[[str, str], None]
    on_stdout: Callable[[str], None]
    on_print: Callable[[str], None] | None = None  # None: what is printed is logged at level info
    memory_limit: int = field(default_factory=lambda: LUA_MEMORY.value)
    steps: Limit = LUA_STEPS  # how much Lua code may do in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAccess:
    """The access rules for the Lua code of one phase.

    `may_read` decides about files in `recipe_dir` that were not read while loading. `on_read` and
    `on_write` are called before a file is read, or written, and may raise. `on_output` receives the
    level and text of everything that is printed and logged. `on_clock` is called when the clock is
    read. With `loads_modules`, code may load modules: a phase may not, since they are in the key.
    """

    run_dir: Path
    environment: Mapping[str, str]
    recipe_dir: Path
    may_read: Callable[[Path], bool]
    on_read: Callable[[str], None] | None = None
    on_write: Callable[[str], None] | None = None
    on_output: Callable[[str, str], None] | None = None
    on_clock: Callable[[], None] | None = None
    loads_modules: bool = False


class FileAccess:
    """Checks and records what one state reads and writes."""

    __slots__ = ("_base_dir", "_environment", "_phase", "_written", "module_folders", "reads")

    def __init__(
        self, base_dir: Path, environment: Mapping[str, str], *, shared_dir: Path | None = None
    ) -> None:
        self._base_dir = os.path.abspath(base_dir)
        # Beside the file first; then in the folder of its bundle.
        self.module_folders = tuple(
            dict.fromkeys((self._base_dir, os.path.abspath(shared_dir or base_dir)))
        )
        self._environment = environment
        self._phase: PhaseAccess | None = None
        self._written: set[str] = set()
        self.reads = ReadLog()

    @property
    def in_phase(self) -> bool:
        """Whether the rules of a phase apply, not those of loading."""
        return self._phase is not None

    @property
    def loads_modules(self) -> bool:
        """Whether modules may be loaded in this phase."""
        return self._phase is not None and self._phase.loads_modules

    @property
    def on_output(self) -> Callable[[str, str], None] | None:
        """What receives printed and logged text in this phase; None for that of the settings."""
        return self._phase.on_output if self._phase is not None else None

    @contextlib.contextmanager
    def phase(self, access: PhaseAccess) -> Iterator[None]:
        """Apply the rules of a phase until the context exits."""
        before, self._phase = self._phase, access
        try:
            yield
        finally:
            self._phase = before
            self._written.clear()

    def variable(self, name: str) -> str | None:
        """Return the value of an environment variable, which is recorded while loading."""
        if self._phase is not None:
            return self._phase.environment.get(name)
        value = self._environment.get(name)
        self.reads.variables[name] = value
        return value

    def note_clock(self) -> None:
        """Record that the clock was read: the result of loading may differ at another time."""
        if self._phase is None:
            self.reads.lasting = False
            self.reads.clock = True
        elif self._phase.on_clock is not None:
            self._phase.on_clock()

    def note_os_version(self) -> None:
        """Record that the version of the system was read, on a platform without one."""
        self.reads.os_version = True

    def note_output(self) -> None:
        """Record that text was printed or logged: while loading, each load has to repeat this."""
        if self._phase is None:
            self.reads.lasting = False

    def for_reading(self, name: str) -> str:
        """Return the absolute path of a file that Lua code is about to read.

        Raises:
            LuaScriptError: it is not a plain file, or this phase may not depend on it.
        """
        path = self._absolute(name)
        if self._phase is not None:
            if self._phase.on_read is not None:
                self._phase.on_read(path)
            self._check_readable(path, name)
            _check_no_pipe(path, name)
        else:
            _check_plain(path, name)
            self.reads.files[Path(path)] = file_digest(path)
        return path

    def for_writing(self, name: str, *, follow: bool) -> str:
        """Return the absolute path of a file that Lua code is about to write, move or remove.

        `follow` says whether the target of a link is meant, and not the link itself.

        Raises:
            LuaScriptError: a file is loading, or the path is a pipe.
        """
        if self._phase is None:
            raise LuaScriptError(
                f"{name} cannot be written while the file loads: do it in a phase, "
                "with ctx.write, ctx.run or io.open"
            )
        path = self._absolute(name)
        if self._phase.on_write is not None:
            self._phase.on_write(path if follow else str(Path(path).parent))
        _check_no_pipe(path, name)
        self._written.add(path)
        return path

    def source(self, name: str, folder: str = "") -> tuple[bytes, str] | None:
        """Return the content and path of a Lua file in a folder, or None if missing.

        By default, the folder is that of the loaded file.

        Raises:
            LuaScriptError: it is not a plain file, or this phase may not depend on it.
        """
        path = self._join(folder or self._base_dir, name)
        if self._phase is not None:
            if self._phase.on_read is not None:
                self._phase.on_read(path)
            self._check_readable(path, name)
        _check_plain(path, name)
        try:
            content = read_plain(path, LUA_MEMORY)
        except OSError:
            self._record(path, file_digest(path))
            return None
        except NotPlain as error:
            raise LuaScriptError(
                f"{name} {error}", hint=error.limit.hint if error.limit else ""
            ) from None
        self._record(path, blake3(content).hexdigest())
        return content, path

    def _record(self, path: str, digest: str | None) -> None:
        if self._phase is None:
            self.reads.files[Path(path)] = digest

    def _absolute(self, name: str) -> str:
        phase = self._phase
        return self._join(self._base_dir if phase is None else str(phase.run_dir), name)

    @staticmethod
    def _join(directory: str, name: str) -> str:
        if "\0" in name:
            raise LuaScriptError("a path cannot contain a NUL character")
        return os.path.normpath(os.path.join(directory, name))

    def _check_readable(self, path: str, name: str) -> None:
        phase = self._phase
        if phase is None or path in self._written or not _inside(path, phase.recipe_dir):
            return
        if Path(path) in self.reads.files or phase.may_read(Path(path)):
            return
        raise LuaScriptError(
            f"{name} is in the recipe's folder but not part of its key: list it in `inputs`, "
            "or read it while the file loads"
        )


def _check_plain(path: str, name: str) -> None:
    """Raise for a pipe, whose opening may block, and for a device, which may have no end."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise LuaScriptError(f"{name} is not a plain file; it cannot be read while loading")


def _check_no_pipe(path: str, name: str) -> None:
    """Raise for a pipe: opening it blocks until its other end is opened, and cannot be stopped."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(Path(path).stat().st_mode):
            raise LuaScriptError(f"{name} is a pipe: use it in a script, with ctx.run")


def _inside(path: str, directory: Path) -> bool:
    """Return whether a path is below a directory, as written or with symbolic links resolved."""
    if path.startswith(_with_separator(os.path.abspath(directory))):
        return True
    return os.path.realpath(path).startswith(_with_separator(os.path.realpath(directory)))


def _with_separator(directory: str) -> str:
    # The root directory already ends with a separator.
    return directory if directory.endswith(os.sep) else directory + os.sep
