"""One test: a Lua state of its own with the recipe loaded, and the thread that runs it.

Guarantees
  Whatever the test and the recipe do, `run` returns soon after the limit. Only Lua code inside one
  C function (a pattern match of minutes) cannot be stopped: its thread is then abandoned.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envy.content.scratch import scratch_folder
from envy.declarations.locations import shown_path
from envy.errors import Cancelled, DeclarationError, EnvyError, LuaScriptError
from envy.host.children import Children
from envy.host.platform import host_platform
from envy.interpreter import released
from envy.limits import RECIPE_TEST
from envy.lua.runtime import LuaState
from envy.lua.sandbox import PhaseAccess, SandboxSettings
from envy.lua.values import LuaFunction, LuaValue
from envy.testing.drivers.recipe.assertions import AssertionFailed, SkippedTest, error_text
from envy.testing.drivers.recipe.files import recipe_of, written_tests
from envy.testing.drivers.recipe.vocabulary import Vocabulary
from envy.testing.drivers.recipe.world import RecipeUnderTest, World, bundle_above

_GRACE = 3.0  # seconds that a test has to end once it is told to
_ENDED = "cancelled"
_NAME = re.compile(r"[A-Za-z0-9_]+")
# Where a failed script ran, and its log: both are removed with the test.
_PLACES = re.compile(r"^ +hint: it ran in \S+$\n|(?<=^  log): \S+(?= \()", re.MULTILINE)
TIMEOUT = "timeout"


class UnusableTests(EnvyError):
    """A file of tests that cannot be run; its message is shown as a compiler's would be."""


@dataclass(slots=True, kw_only=True)
class RecipeTestEnd:
    """How a test ended."""

    __test__ = False

    action: str = "pass"  # or fail, skip
    reason: str = ""
    text: str = ""
    seconds: float = 0.0
    read: set[str] = field(default_factory=set)  # files and folders that decided
    trees: set[str] = field(default_factory=set)  # folders that decided with all that is in them
    stopped: bool = False  # the run was cancelled


def load_tests(
    path: Path, environment: Mapping[str, str], should_stop: Callable[[], bool] = lambda: False
) -> tuple[str, ...]:
    """Load a file of tests, and return its tests in their order.

    Raises:
        UnusableTests: it cannot be loaded, or its tests are not what they should be.
    """
    recipe = recipe_of(path)
    if not recipe.is_file():
        raise UnusableTests(
            f"{shown_path(path)} is for the recipe {recipe.name} beside it, which does not exist"
        )
    with _opened(path, environment, should_stop=should_stop) as (state, before):
        text = path.read_text(encoding="utf-8", errors="replace")
        found = {name: value for name, value in state.user_globals().items()
                 if name.startswith("test_") and before.get(name) is None}  # fmt: skip
        return _checked(path, text, found)


def _checked(path: Path, text: str, found: Mapping[str, LuaValue]) -> tuple[str, ...]:
    place = shown_path(path)
    lines: dict[str, int] = {}
    problems = []
    for test in written_tests(text):
        first = lines.get(test.name)
        if test.is_local:
            problems.append(
                f"{place}:{test.line}: `{test.name}` is local, so it is not a test: remove `local`"
            )
        elif first is not None:
            problems.append(
                f"{place}:{test.line}: the test `{test.name}` is defined in line {first}, too, and "
                "only the last would run"
            )
        lines.setdefault(test.name, test.line)
    problems += [
        f"{place}: {name!r} is not a name that a test can have: letters, digits and _"
        for name in found
        if not _NAME.fullmatch(name)
    ]
    problems += [
        f"{place}:{lines.get(name, 1)}: `{name}` is not a function, as a test is"
        for name, value in found.items()
        if not isinstance(value, LuaFunction)
    ]
    if problems:
        raise UnusableTests("\n".join(problems))
    if not found:
        raise UnusableTests(
            f"{place} has no tests",
            hint="a test is a global function whose name starts with test_, such as "
            "function test_installs(t) … end",
        )

    def position(name: str) -> tuple[int, str]:
        function = found[name]
        assert isinstance(function, LuaFunction)
        line = function.where.rpartition(":")[2]
        return (lines.get(name) or (int(line) if line.isdigit() else 0)), name

    return tuple(sorted(found, key=position))


@contextlib.contextmanager
def _opened(
    path: Path,
    environment: Mapping[str, str],
    *,
    should_stop: Callable[[], bool],
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[tuple[LuaState, Mapping[str, LuaValue]]]:
    """Provide a state with the recipe and then its tests loaded, and the globals of the recipe.

    Raises:
        UnusableTests: one of them cannot be loaded.
    """
    state = LuaState(
        SandboxSettings(
            platform=host_platform(),
            environment={"PATH": environment.get("PATH", os.defpath)},
            should_stop=should_stop,
            on_log=lambda level, text: say(text if level == "info" else f"{level}: {text}"),
            on_stdout=say,
            steps=RECIPE_TEST,
        ),
        base_dir=path.parent,
        shared_dir=bundle_above(path),
    )
    try:
        state.load_file(recipe_of(path))
        before = state.user_globals()
        state.load_file(path)
        yield state, before
    except (LuaScriptError, DeclarationError) as error:
        raise UnusableTests(_located(error)) from error
    finally:
        state.close()


class OneTest:
    """One run of one test."""

    def __init__(
        self, path: Path, name: str, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._path = path
        self._name = name
        self._environment = environment
        self._say = say
        self._end = RecipeTestEnd()
        self._world: World | None = None
        self._stopped = ""
        self._lock = threading.Lock()

    def run(self, limit: float | None, children: Children) -> RecipeTestEnd:
        """Run it, for at most so many seconds, and return how it ended.

        It ends early if `children`, the programs of the whole run, are terminated.
        """
        started = time.monotonic()
        finished = threading.Event()

        def body() -> None:
            try:
                self._perform()
            finally:
                finished.set()

        with children.calling_at_stop(lambda: self._stop(_ENDED)), released():
            threading.Thread(target=body, name="recipe-test", daemon=True).start()
            longest = threading.TIMEOUT_MAX
            if not finished.wait(None if limit is None else min(limit, longest)):
                self._stop(TIMEOUT)
                finished.wait(_GRACE)
            elif self._stopped:
                finished.wait(_GRACE)
        end = self._end if finished.is_set() else RecipeTestEnd(action="fail", text=_STUCK)
        if self._stopped:
            end.action, end.reason = "fail", self._stopped
            end.stopped = self._stopped == _ENDED
        end.seconds = time.monotonic() - started
        return end

    def _stop(self, reason: str) -> None:
        with self._lock:
            self._stopped = self._stopped or reason
            world = self._world
        if world is not None:
            # Ending programs takes a moment, for which the caller cannot wait.
            threading.Thread(target=world.stop, args=(reason,), daemon=True).start()

    def _perform(self) -> None:
        try:
            with scratch_folder("recipe-test") as folder:
                self._perform_in(Path(os.path.realpath(folder)))
        except Cancelled:
            self._end.action = "fail"
        except Exception as error:  # noqa: BLE001 - a test that fails in any way has failed
            self._end.action, self._end.text = "fail", f"{type(error).__name__}: {error}"
            if isinstance(error, EnvyError):
                self._end.text = str(error)

    def _perform_in(self, folder: Path) -> None:
        with _opened(
            self._path, self._environment, should_stop=lambda: bool(self._stopped), say=self._say
        ) as (state, before):
            identity = before.get("identity")
            if not isinstance(identity, str):
                raise UnusableTests(f"{recipe_of(self._path)} declares no `identity`")
            under_test = RecipeUnderTest(
                path=recipe_of(self._path), identity=identity, tests=self._path
            )
            path = self._environment.get("PATH", os.defpath)
            world = World(under_test, folder, test=self._name, path=path)
            with self._lock:
                self._world = world
                stopped = self._stopped
            if stopped:
                world.stop(stopped)
            self._call(state, world)
            self._end.read = world.read | {str(path) for path in state.reads.files}
            self._end.trees = world.trees | world.transport.read
            self._end.read |= {str(self._path), str(recipe_of(self._path))}

    def _call(self, state: LuaState, world: World) -> None:
        """Call the function of the test, and note how it ended."""
        function = state.user_globals({self._name}).get(self._name)
        if not isinstance(function, LuaFunction):
            raise UnusableTests(f"{self._path}: `{self._name}` is no longer a function")
        vocabulary = Vocabulary(world, state.call, self._say)
        assertions = vocabulary.assertions
        access = PhaseAccess(
            run_dir=world.project,
            environment=world.variables,
            recipe_dir=self._path.parent,
            may_read=lambda _path: True,
            on_read=world.read.add,
            on_write=lambda file: _check_inside(file, world.folder),
            on_output=lambda level, text: self._say(
                text if level in {"info", "stdout"} else f"{level}: {text}"
            ),
            loads_modules=True,
        )
        try:
            with state.phase(access):
                state.call_with_ctx(function, vocabulary.table(), {})
            if assertions.first_failure is not None:
                raise assertions.first_failure
        except (LuaScriptError, AssertionFailed) as error:
            if assertions.skip_reason is not None and _is_skip(error):
                self._end.action, self._end.text = "skip", assertions.skip_reason
                return
            self._end.action, self._end.text = "fail", _located(error)


def _is_skip(error: EnvyError) -> bool:
    return isinstance(error, LuaScriptError) and isinstance(error.cause, SkippedTest)


def _located(error: EnvyError) -> str:
    """Return the text of an error, with the places in Lua files that led to it."""
    if not isinstance(error, LuaScriptError) or not error.frames:
        return str(error)
    text = _PLACES.sub("", error_text(error))
    first, *others = error.frames
    if not text.startswith(f"{first.path}:"):
        text = f"{first.path}:{first.line}: {text}"
    return "\n".join([text, *(f"  called from {frame.path}:{frame.line}" for frame in others)])


def _check_inside(path: str, folder: Path) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(folder):
        raise EnvyError(
            f"{path} lies outside of the test's folder, and a test of a recipe writes nowhere else"
        )


_STUCK = (
    "the test did not end when it was told to: it is inside of one call of a function of Lua, such "
    "as a pattern match that takes very long"
)
