"""Building the executable of one native package: IR of each source, one module, one object.

Guarantees
  No more compilers run at once than the driver allows, however many packages are built.
  A package that cannot be built has an error that names a source and a line, or the tool's message.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from envy.content.json_text import parse_json
from envy.errors import EnvyError
from envy.host.children import Children
from envy.host.process import ProcessSpec, run
from envy.interpreter import released
from envy.testing.drivers.native.advice import ONE_EXECUTABLE, Definition, defined_twice
from envy.testing.drivers.native.commands import Commands, DirectCommands, Way
from envy.testing.drivers.native.linked import LinkedFiles
from envy.testing.drivers.native.module_text import (
    NativeTest,
    as_rows,
    find_tests,
    name_in_source,
    strong_definitions,
    with_table,
)
from envy.testing.drivers.native.store import Digests, NativeStore, key_of
from envy.testing.drivers.native.toolchain import NativeToolchain
from envy.testing.drivers.native.units import (
    BITCODE,
    DISPATCHER,
    Unit,
    UnitState,
    is_settled,
    now_ns,
    state_after,
)

EXECUTABLE, MODULE, OBJECT, TESTS = "package.test", "package.ll", "package.o", "tests.json"
UNSETTLED = "unsettled-"  # begins the key of what is of use for one run only
SIGNATURE = "a test is `int NAME(void)` or `void NAME(void)`"


class BuildFailed(EnvyError):
    """A package that cannot be built; its message is shown as the compiler's would be."""


class _IsProgram(EnvyError):
    """The package has a `main` and no tests, as only the compiler could tell."""


@dataclass(slots=True, kw_only=True)
class BuildTask:
    """What is built, and what came of it."""

    name: str
    units: Sequence[Unit]  # the dispatcher last, if there is one
    test_sources: Sequence[str]
    has_own_main: bool
    link_flags: Sequence[str] = ()
    linked: LinkedFiles = field(default_factory=LinkedFiles)
    states: dict[str, UnitState] = field(default_factory=dict)  # by source
    parts: dict[str, Path] = field(default_factory=dict)  # bitcode by source
    messages: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    key: str = ""
    tests: list[list[object]] = field(default_factory=list)
    size: int = 0  # of the executable

    def become_program(self) -> None:
        """Leave out the dispatcher: the package is a program that is one test."""
        self.has_own_main = True
        self.units = [unit for unit in self.units if unit.source != DISPATCHER]


class NativeBuilder:
    """Builds packages; used by several threads."""

    def __init__(
        self, toolchain: NativeToolchain, store: NativeStore, digests: Digests, *,
        children: Children, scratch: Path, jobs: int, rebuild: bool = False,
    ) -> None:  # fmt: skip
        self._toolchain = toolchain
        self._store = store
        self._digests = digests
        self._children = children
        self._scratch = scratch
        self._rebuild = rebuild
        self._environment = {**toolchain.environment, "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig")}
        self._own_paths = re.compile(re.escape(str(scratch)) + r"/native-\d+/")
        self._commands = Commands(toolchain)
        if toolchain.name == "zig":
            asking = functools.partial(self._run, label="asking zig for its words")
            self._commands = DirectCommands(toolchain, store, scratch, asking)
        self._compilers = ThreadPoolExecutor(jobs, thread_name_prefix="compiler")
        self._lock = threading.Lock()
        self._number = 0
        self._shared: dict[str, Future[tuple[UnitState, Path, str]]] = {}
        self.ends_at: float | None = None

    def close(self) -> None:
        """Wait for the compilers."""
        with released():
            self._compilers.shutdown(cancel_futures=True)

    def key(self, task: BuildTask) -> str:
        """Return the key of an executable whose units are all known."""
        return key_of(
            self._toolchain.identity,
            [task.states[unit.source].bitcode for unit in task.units],
            list(task.test_sources),
            list(task.link_flags),
            *([rows] if (rows := self._linked_rows(task)) else []),
        )

    def _linked_rows(self, task: BuildTask) -> list[str]:
        return [f"{path}\0{self._digests.of(path)}" for path in task.linked.paths]

    def build(self, task: BuildTask) -> Path:
        """Build a package, and return its executable.

        Raises:
            BuildFailed: A source does not compile, or the parts do not fit together.
        """
        self._compile(task)
        try:
            return self._finish(task)
        except _IsProgram:
            task.become_program()
            return self._finish(task)

    def _finish(self, task: BuildTask) -> Path:
        started = now_ns()
        task.key = self.key(task)
        kept = None if self._rebuild else self._kept(task)
        if kept is not None:
            return kept
        folder = self._folder()
        files = {name: folder / name for name in (EXECUTABLE, MODULE, OBJECT, TESTS)}
        self._link(task, files)
        if not all(self._digests.is_settled(path, started) for path in task.linked.paths):
            # A library was replaced meanwhile: of use for this run only.
            task.key = f"{UNSETTLED}{started}-{task.key}"
        self._store.keep(task.key, files)
        found = self._store.find(task.key, EXECUTABLE)
        if found is None:
            raise EnvyError(f"cannot keep the test binary of {task.name}")
        return found

    def _kept(self, task: BuildTask) -> Path | None:
        """Return the kept executable, and note its tests; None if it is missing or damaged."""
        kept = self._store.find(task.key, EXECUTABLE)
        tests = self._store.find(task.key, TESTS)
        if kept is None or tests is None:
            return None
        try:
            known = parse_json(tests.read_text(encoding="utf-8"))
            rows, size = list(known["tests"]), int(known["size"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if kept.stat().st_size != size:
            return None
        task.tests, task.size = rows, size
        return kept

    # -- from sources to bitcode -----------------------------------------------------------------

    def _compile(self, task: BuildTask) -> None:
        started = time.monotonic()
        futures: list[tuple[Unit, Future[tuple[UnitState, Path, str]]]] = []
        for unit in task.units:
            state = task.states.get(unit.source)
            found = self._store.find(state.key, BITCODE) if state is not None else None
            if found is not None and state is not None and _is_whole(found, state):
                task.parts[unit.source] = found
            else:
                futures.append((unit, self._submit(unit)))
        failures = []
        for unit, future in futures:
            try:
                with released():
                    state, path, said = future.result()
            except BuildFailed as error:
                failures.append(error.message)
                continue
            task.states[unit.source], task.parts[unit.source] = state, path
            if said:
                task.messages.append(said)
        task.seconds["compile"] = time.monotonic() - started
        if failures:
            raise BuildFailed("".join([*task.messages, *dict.fromkeys(failures)]))

    def _submit(self, unit: Unit) -> Future[tuple[UnitState, Path, str]]:
        """Start the compilation of a unit, unless another package has started it."""
        with self._lock:
            future = self._shared.get(unit.base)
            if future is None:
                future = self._compilers.submit(self._compile_unit, unit)
                self._shared[unit.base] = future
            return future

    def _compile_unit(self, unit: Unit) -> tuple[UnitState, Path, str]:
        folder = self._folder()
        output, headers = folder / BITCODE, folder / "headers"
        started = now_ns()
        ways = self._commands.to_bitcode(unit, output, headers)
        said = self._first(ways, unit.folder, f"compiling {unit.source}")
        if not output.exists():
            raise BuildFailed(f"{unit.source}: the compiler wrote no output\n")
        state = state_after(unit, headers, output, self._toolchain, self._digests)
        if is_settled(state, self._digests, started):
            self._store.keep(state.key, {BITCODE: output})
            output = self._store.find(state.key, BITCODE) or output
        else:
            # It was edited meanwhile: of use for this run only.
            state = replace(state, key=f"{UNSETTLED}{state.key}")
        return state, output, said

    # -- from bitcode to an executable -----------------------------------------------------------

    def _link(self, task: BuildTask, files: dict[str, Path]) -> None:
        tools, folder = self._commands, files[EXECUTABLE].parent
        root = task.units[0].folder
        plain = folder / "joined.ll"
        parts = [task.parts[unit.source] for unit in task.units]
        try:
            self._step(task, "join", tools.to_module(parts, plain, root), root)
        except BuildFailed as error:
            raise self._clash(task, folder) or error from error
        text = plain.read_text(encoding="utf-8", errors="surrogateescape")
        tests = [] if task.has_own_main else find_tests(text, task.test_sources)
        _check(tests)
        task.tests = as_rows(tests)
        text = text.partition("\n")[2]  # the first line is a comment with a path of this run
        text = with_table(text, tests, opaque=self._toolchain.writes_opaque_pointers)
        files[MODULE].write_text(text, encoding="utf-8", errors="surrogateescape")
        self._step(task, "codegen", tools.to_object(files[MODULE], files[OBJECT], root), root)
        cxx = any(unit.is_cxx for unit in task.units)
        ways = tools.to_executable(files[OBJECT], files[EXECUTABLE], task.link_flags, cxx=cxx)
        said = self._step(task, "link", ways, root)
        if said:
            task.messages.append(said)
        task.size = files[EXECUTABLE].stat().st_size
        known = {"tests": task.tests, "size": task.size}
        files[TESTS].write_text(json.dumps(known), encoding="utf-8")

    def _step(self, task: BuildTask, step: str, ways: Sequence[Way], folder: str) -> str:
        started = time.monotonic()
        future = self._compilers.submit(self._first, ways, folder, f"{step} of {task.name}")
        with released():
            said = future.result()
        task.seconds[step] = task.seconds.get(step, 0.0) + time.monotonic() - started
        return said

    def _clash(self, task: BuildTask, folder: Path) -> EnvyError | None:
        """Return the error that names both sources of a symbol that two of them define.

        A test source without tests may have got its `main` from a header or a macro.
        """
        first: dict[str, Definition] = {}
        clashes, tests = [], []
        for unit in task.units:
            output = folder / "part.ll"
            self._run(self._toolchain.to_text(task.parts[unit.source], output), unit.folder, "text")
            text = output.read_text(encoding="utf-8", errors="surrogateescape")
            tests += find_tests(text, task.test_sources)
            for symbol, place in strong_definitions(text).items():
                here = Definition(name_in_source(symbol, text), unit.source, place)
                there = first.setdefault(symbol, here)
                if there is not here:
                    clashes.append((here, there))
        if not tests and [(a.name, a.unit) for a, _ in clashes] == [("main", DISPATCHER)]:
            return _IsProgram("")
        lines = [defined_twice(here, there) for here, there in clashes]
        return BuildFailed("".join([*lines, ONE_EXECUTABLE])) if lines else None

    # -- programs --------------------------------------------------------------------------------

    def _first(self, ways: Sequence[Way], folder: str, label: str) -> str:
        """Go the first way that leads to the end; return what its programs said.

        Raises:
            BuildFailed: None does; the last one says why.
        """
        for way in ways[:-1]:
            with contextlib.suppress(BuildFailed):
                return "".join([self._run(argv, folder, label) for argv in way])
        return "".join([self._run(argv, folder, label) for argv in ways[-1]])

    def _run(self, argv: Sequence[str], folder: str, label: str) -> str:
        """Run a program; return what it said.

        Raises:
            BuildFailed: It failed.
        """
        timeout = None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())
        completed = run(
            ProcessSpec(
                argv=argv,
                command=label,
                cwd=Path(folder),
                environment=self._environment,
                children=self._children,
                label="compiler",
                capture=True,
                timeout=timeout,
            )
        )
        said = (completed.stdout + completed.stderr).decode("utf-8", "replace")
        said = self._own_paths.sub("", said)
        if completed.timed_out:
            raise BuildFailed("total timeout\n")
        if completed.exit_code:
            raise BuildFailed(said or f"{label} failed with exit code {completed.exit_code}\n")
        return said

    def _folder(self) -> Path:
        with self._lock:
            self._number += 1
            number = self._number
        folder = self._scratch / f"native-{number}"
        folder.mkdir(parents=True)
        return folder


def _is_whole(bitcode: Path, state: UnitState) -> bool:
    """Return whether kept bitcode is what the compiler wrote."""
    return Digests().of(str(bitcode)) == state.bitcode


def _check(tests: Sequence[NativeTest]) -> None:
    lines = []
    places: dict[str, NativeTest] = {}
    for test in tests:
        if test.problem:
            lines.append(
                f"{test.place}: error: `{test.name}` has the wrong signature; {SIGNATURE}\n"
            )
        other = places.setdefault(test.name, test)
        if other is not test:
            lines.append(
                f"{test.place}: error: the test `{test.name}` is defined in {other.place}, too\n"
            )
    if lines:
        raise BuildFailed("".join(lines))
