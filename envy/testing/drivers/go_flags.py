"""Go's own flags: which there are, whether they take a value, and whom they are for.

The table says what `go help build`, `go help testflag` and `go help test` list. Every one of them
is known: handed to the build, to the run, to both, rewritten to the option of envy that means the
same, or refused with what to use instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from envy.errors import UsageError
from envy.testing.durations import parse_duration


class Route(Enum):
    """Whom a flag is for."""

    BUILD = "build"  # the compiler, and `go list`, which must see the same packages
    COMPILE = "compile"  # `go test -c` alone
    RUN = "run"  # the test binary, as -test.NAME
    FILE = "file"  # the same, and its value names a file or folder
    OWN = "own"  # an option of envy
    SPECIAL = "special"  # the driver itself
    REFUSED = "refused"


class Value(Enum):
    """What a flag takes."""

    NONE = "none"
    TEXT = "text"
    NUMBER = "number"
    DURATION = "duration"


@dataclass(frozen=True, slots=True)
class GoFlag:
    """One flag; `target` is envy's option, or the remedy of a refused one."""

    route: Route
    value: Value = Value.TEXT
    target: str = ""


def _table() -> dict[str, GoFlag]:
    rows: dict[str, GoFlag] = {}
    for names, route, value in (
        ("race msan asan linkshared modcacherw trimpath a", Route.BUILD, Value.NONE),
        ("work x", Route.COMPILE, Value.NONE),
        ("asmflags buildmode compiler gccgoflags gcflags installsuffix", Route.BUILD, Value.TEXT),
        ("ldflags mod modfile overlay pgo pkgdir tags toolexec", Route.BUILD, Value.TEXT),
        ("cover", Route.COMPILE, Value.NONE),
        ("covermode coverpkg vet", Route.COMPILE, Value.TEXT),
        ("benchmem short fullpath artifacts", Route.RUN, Value.NONE),
        ("bench benchtime cpu shuffle fuzztime fuzzminimizetime", Route.RUN, Value.TEXT),
        ("blockprofilerate memprofilerate mutexprofilefraction", Route.RUN, Value.NUMBER),
        ("parallel", Route.RUN, Value.NUMBER),
        ("blockprofile cpuprofile memprofile mutexprofile", Route.FILE, Value.TEXT),
        ("trace outputdir", Route.FILE, Value.TEXT),
        ("coverprofile exec fuzz C", Route.SPECIAL, Value.TEXT),
    ):
        rows |= {name: GoFlag(route, value) for name in names.split()}
    rows["buildvcs"] = GoFlag(Route.BUILD, Value.NONE)  # a word, too: -buildvcs=auto
    own: tuple[tuple[str, Value, str], ...] = (
        ("p", Value.NUMBER, "--build-jobs"),
        ("v", Value.NONE, "--verbose"),
        ("json", Value.NONE, "--json"),
        ("run", Value.TEXT, "--run"),
        ("skip", Value.TEXT, "--skip"),
        ("list", Value.TEXT, "--list"),
        ("count", Value.NUMBER, "--count"),
        ("timeout", Value.DURATION, "--timeout"),
        ("failfast", Value.NONE, "--fail-fast"),
    )
    rows |= {name: GoFlag(Route.OWN, value, target) for name, value, target in own}
    rows["c"] = GoFlag(Route.REFUSED, Value.NONE, "build without running with --build-only")
    rows["o"] = GoFlag(Route.REFUSED, Value.TEXT, "binaries are kept in the cache; --build-only")
    rows["n"] = GoFlag(Route.REFUSED, Value.NONE, "see what would run with --list")
    return rows


FLAGS: dict[str, GoFlag] = _table()
_ONE_PACKAGE = ("blockprofile", "cpuprofile", "memprofile", "mutexprofile", "trace", "fuzz")


@dataclass(slots=True)
class GoFlags:
    """The flags of one command line, by whom they are for."""

    listing: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    directory: str = ""
    cover_profile: str = ""
    execute_with: str = ""
    fuzz: str = ""
    single_package: str = ""  # the flag that allows one package only
    changes_set: bool = False  # benchmarks or fuzzing: what runs is more than the tests
    arguments: tuple[str, ...] = ()

    def take(self, name: str, value: str | None, *, where: Path) -> None:
        """Route one flag; `where` is what its files are relative to."""
        flag = FLAGS[name]
        text = f"-{name}" if value is None else f"-{name}={value}"
        if flag.route is Route.REFUSED:
            raise UsageError(f"-{name} is no flag of `envy test`", hint=flag.target)
        if name in _ONE_PACKAGE:
            self.single_package = f"-{name}"
        if name in {"bench", "fuzz"}:
            self.changes_set = True
        if flag.route is Route.BUILD:
            self.listing.append(text)
            self.build.append(text)
        elif flag.route is Route.COMPILE:
            self.build.append(text)
        elif flag.route is Route.RUN:
            self.run.append(f"-test.{text[1:]}")
        elif flag.route is Route.FILE:
            self.run.append(f"-test.{name}={where / (value or '')}")
        else:
            self._take_special(name, value or "", where)

    def _take_special(self, name: str, value: str, where: Path) -> None:
        if name == "coverprofile":
            self.cover_profile = str(where / value)
            self.build.append("-cover")
        elif name == "exec":
            self.execute_with = value
        elif name == "fuzz":
            self.fuzz = value
            self.build.append(f"-fuzz={value}")
        elif name == "C":
            self.directory = value


def check_value(name: str, value: str) -> None:
    """See that a flag's value is of its sort.

    Raises:
        UsageError: it is not.
    """
    kind = FLAGS[name].value
    if kind is Value.NUMBER and not value.removeprefix("-").isdecimal():
        raise UsageError(f"-{name} is {value!r}, which is no whole number")
    if kind is Value.DURATION:
        parse_duration(value, option=f"-{name}")


def split_words(
    words: Sequence[str], *, own: set[str], own_with_value: set[str]
) -> tuple[list[str], list[tuple[str, str | None]], tuple[str, ...]]:
    """Divide a command line into envy's words, Go's flags, and what is for the test binary.

    `own` are the options of envy in their double-dash spelling, which there means envy's.

    Raises:
        UsageError: a flag without its value, or a value that cannot be.
    """
    rest: list[str] = []
    flags: list[tuple[str, str | None]] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--" or word in {"-args", "--args"}:
            return rest, flags, tuple(words[position:])
        name, has_value, value = word.lstrip("-").partition("=")
        name = name.removeprefix("test.")
        flag = FLAGS.get(name) if word.startswith("-") else None
        option = word.partition("=")[0]
        if flag is None or (option in own and not _is_gos(option, value)):
            rest.append(word)
            if word in own_with_value and position < len(words):
                rest.append(words[position])
                position += 1
            continue
        if flag.value is Value.NONE:
            given = value if has_value else None
        elif has_value:
            given = value
        elif position < len(words):
            given = words[position]
            position += 1
        else:
            raise UsageError(f"{word} needs a value")
        if given is not None:
            check_value(name, given)
        if flag.route is Route.OWN:
            rest += _as_own(flag, given)
        else:
            flags.append((name, given))
    return rest, flags, ()


def _is_gos(option: str, value: str) -> bool:
    """`--trace=FILE` is Go's, where envy's own is `--trace[=stderr|file:PATH|timeline:PATH]`."""
    if option != "--trace" or not value or value == "stderr":
        return False
    return not value.startswith(("file:", "timeline:"))


def _as_own(flag: GoFlag, value: str | None) -> list[str]:
    if flag.value is not Value.NONE:
        return [f"{flag.target}={value}"]
    return [] if value in {"false", "0", "f", "F", "FALSE"} else [flag.target]
