"""Go's own flags: their names, whether they take a value, and where each of them goes.

The table contains every flag of `go help build`, `go help testflag` and `go help test`. A flag goes
to the build, to the test binary or to both, becomes the equivalent option of envy, or is refused
with a replacement.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from envy.errors import UsageError
from envy.suggest import nearest
from envy.testing.durations import parse_duration

_SHORT = re.compile(r"-[hqvy]+|-j.*")  # options of envy, and several of them in one word


class Route(Enum):
    """Where a flag goes."""

    BUILD = "build"  # to the compiler, and to `go list`, which must see the same packages
    COMPILE = "compile"  # to `go test -c` only
    RUN = "run"  # to the test binary, as -test.NAME
    FILE = "file"  # like RUN, and the value names a file or folder
    OWN = "own"  # becomes an option of envy
    SPECIAL = "special"  # to the driver
    REFUSED = "refused"


class Value(Enum):
    """The type of a flag's value."""

    NONE = "none"
    TEXT = "text"
    NUMBER = "number"
    DURATION = "duration"


@dataclass(frozen=True, slots=True)
class GoFlag:
    """One flag; `target` is envy's option, or the hint of a refused flag."""

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
    rows["buildvcs"] = GoFlag(Route.BUILD, Value.NONE)  # also takes a word: -buildvcs=auto
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
    rows["c"] = GoFlag(Route.REFUSED, Value.NONE, "use --build-only to build without running")
    rows["o"] = GoFlag(Route.REFUSED, Value.TEXT, "--build-only keeps the binaries in the cache")
    rows["n"] = GoFlag(Route.REFUSED, Value.NONE, "use --list to show what would run")
    return rows


FLAGS: dict[str, GoFlag] = _table()
_ONE_PACKAGE = ("blockprofile", "cpuprofile", "memprofile", "mutexprofile", "trace", "fuzz")


@dataclass(slots=True)
class GoFlags:
    """The flags of one command line, sorted by where they go."""

    listing: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    directory: str = ""
    cover_profile: str = ""
    measures: bool = False  # envy wants a coverage profile of each process
    output_directory: str = ""
    execute_with: str = ""
    fuzz: str = ""
    single_package: str = ""  # the flag that allows one package only
    changes_set: bool = False  # benchmarks or fuzzing run, not only tests
    arguments: tuple[str, ...] = ()

    def add(self, name: str, value: str | None, *, where: Path) -> None:
        """Add one flag; its file names are relative to `where`."""
        flag = FLAGS[name]
        text = f"-{name}" if value is None else f"-{name}={value}"
        if flag.route is Route.REFUSED:
            raise UsageError(f"`envy test` does not support -{name}", hint=flag.target)
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
            self._add_file(name, value or "", where)
        else:
            self._add_special(name, value or "")

    def _add_file(self, name: str, value: str, where: Path) -> None:
        """Add a file flag; the binary puts relative files into its -outputdir, or `where`."""
        if name == "outputdir":
            value = self.output_directory = str(where / value)
        self.run.append(f"-test.{name}={value}")

    def profile_path(self, where: Path) -> Path | None:
        """Return the path of -coverprofile; None without it."""
        if not self.cover_profile:
            return None
        return where / self.output_directory / self.cover_profile

    def _add_special(self, name: str, value: str) -> None:
        if name == "coverprofile":
            self.cover_profile = value
            self.build.append("-cover")
        elif name == "exec":
            self.execute_with = value
        elif name == "fuzz":
            self.fuzz = value
            self.build.append(f"-fuzz={value}")
        elif name == "C":
            self.directory = value


def check_value(name: str, value: str) -> None:
    """Check that a flag's value has the right type.

    Raises:
        UsageError: It does not.
    """
    kind = FLAGS[name].value
    if kind is Value.NUMBER and not value.removeprefix("-").isdecimal():
        raise UsageError(f"-{name}: {value!r} is not a whole number")
    if name == "parallel" and int(value) < 1:
        raise UsageError(f"-{name}: {value!r} is not a positive number")
    if kind is Value.DURATION:
        parse_duration(value, option=f"-{name}")


def split_words(
    words: Sequence[str], *, own: set[str], own_with_value: set[str]
) -> tuple[list[str], list[tuple[str, str | None]], tuple[str, ...]]:
    """Divide a command line into envy's words, Go's flags, and arguments for the test binary.

    `own` are envy's options with two dashes; with two dashes they take precedence over Go's flags.

    Raises:
        UsageError: A flag has no value, or a value is not valid.
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
        if flag is None or (option in own and not _is_go_flag(option, value)):
            _check_short(word, own)
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


def _check_short(word: str, own: set[str]) -> None:
    """Check a word with one dash, which click would divide into options of one letter.

    Raises:
        UsageError: It is no flag.
    """
    if word[:1] != "-" or word[:2] in {"-", "--"} or _SHORT.fullmatch(word):
        return
    name = word.partition("=")[0].lstrip("-")
    known = [f"-{flag}" for flag in FLAGS] + sorted(own)
    close = nearest(f"-{name}", known)
    raise UsageError(
        f"there is no flag {word.partition('=')[0]}", hint=f"did you mean {close}?" if close else ""
    )


def flags_of_tests(text: str) -> list[str]:
    """Return the words of GOFLAGS that `go test -c` ignores: those for the test binary, and envy's.

    Go itself reads the others.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        return []  # Go reports it
    found = []
    for word in words:
        flag = FLAGS.get(word.lstrip("-").partition("=")[0])
        if flag is not None and flag.route in {Route.RUN, Route.FILE, Route.OWN}:
            found.append(word)
    return found


def _is_go_flag(option: str, value: str) -> bool:
    """Return whether `--trace=VALUE` is Go's; envy has `--trace[=stderr|file:…|timeline:…]`."""
    if option != "--trace" or not value or value == "stderr":
        return False
    return not value.startswith(("file:", "timeline:"))


def _as_own(flag: GoFlag, value: str | None) -> list[str]:
    if flag.value is not Value.NONE:
        return [f"{flag.target}={value}"]
    return [] if value in {"false", "0", "f", "F", "FALSE"} else [flag.target]
