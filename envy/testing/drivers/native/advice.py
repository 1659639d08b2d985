"""What the sources of a native package say before they are compiled: warnings and errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time

from envy.testing.drivers.native.runner import OWN_MAIN
from envy.testing.drivers.native.sources import SourceFunction, SourcePackage
from envy.testing.drivers.native.units import DISPATCHER
from envy.testing.events import StreamEvent

ONE_EXECUTABLE = (
    "The sources of a folder become one executable, in which a name is defined once: "
    "rename one, or make it static.\n"
)
_MAIN_BESIDE_TESTS = (
    "`main` is defined beside tests, whose `main` is "
    "generated; remove it, or move it to a folder of its own, where it runs as one test\n"
)


def spelled(folder: str, name: str) -> str:
    """Return the path of a source as the compiler gets it."""
    path = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118
    return f"./{path}" if path[0] in "-@" else path  # which begin an option, or name a list


def could_run(function: SourceFunction) -> bool:
    """Return whether a function of a test's source is a test, as far as the source tells."""
    return function.takes_nothing and not function.is_static and function.name != OWN_MAIN


def hidden_tests(
    folder: str, source: SourcePackage, functions: Mapping[str, Sequence[SourceFunction]]
) -> list[str]:
    """Return a warning for each test that is static, and so never reaches the compiler's output."""
    return [
        f"{spelled(folder, name)}:{f.line}: warning: `{f.name}` is static, so it is not a test; "
        "remove `static`"
        for name in source.tests
        for f in functions[name]
        if f.is_static and f.takes_nothing and f.name != OWN_MAIN
    ]


def extra_mains(
    folder: str,
    source: SourcePackage,
    functions: Mapping[str, Sequence[SourceFunction]],
    *,
    own_main: bool,
) -> list[str]:
    """Return the errors of a package that defines `main` beside tests."""
    if own_main:
        return []
    return [
        f"{spelled(folder, name)}:{f.line}: error: {_MAIN_BESIDE_TESTS}"
        for name in source.tests
        for f in functions[name]
        if f.name == OWN_MAIN
    ]


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a symbol is defined."""

    name: str  # as in the source
    unit: str  # the source that was compiled
    place: str  # FILE:LINE, also of a file that it includes; "" if unknown


def defined_twice(here: Definition, there: Definition) -> str:
    """Return the error about a symbol that two sources define."""
    place = here.place or here.unit
    if here.unit == DISPATCHER:
        place = there.place or there.unit
        if here.name != OWN_MAIN:
            return f"{place}: error: `{here.name}` is a name of envy's own; rename it\n"
        return f"{place}: error: {_MAIN_BESIDE_TESTS}"
    if here.place and here.place == there.place:
        return (
            f"{place}: error: `{here.name}` is defined in {there.unit} and {here.unit}, which both "
            "include this file\n"
        )
    return f"{place}: error: `{here.name}` is defined in {there.place or there.unit}, too\n"


def build_output(package: str, texts: Sequence[str]) -> list[StreamEvent]:
    """Return texts as events of the build of a package, one for each line."""
    now = time()
    return [
        StreamEvent(action="build-output", time=now, import_path=package, output=f"{line}\n")
        for text in texts
        for line in text.splitlines()
    ]
