"""What the sources of a native package say before they are compiled: warnings and errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import time

from envy.testing.drivers.native.runner import OWN_MAIN
from envy.testing.drivers.native.sources import SourceFunction, SourcePackage
from envy.testing.events import StreamEvent


def spelled(folder: str, name: str) -> str:
    """Return the path of a source as the compiler gets it."""
    path = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118
    return f"./{path}" if path[0] in "-@" else path  # which begin an option, or name a list


def hidden_tests(
    folder: str, source: SourcePackage, functions: Mapping[str, Sequence[SourceFunction]]
) -> list[str]:
    """Return a warning for each test that is static, and so never reaches the compiler's output."""
    return [
        f"{spelled(folder, name)}:{f.line}: warning: `{f.name}` is static, so it is not a test; "
        "remove `static`"
        for name in source.tests
        for f in functions[name]
        if f.is_static and f.name != OWN_MAIN
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
        f"{spelled(folder, name)}:{f.line}: error: `main` is defined beside tests, whose `main` is "
        "generated; remove it, or move it to a folder of its own, where it runs as one test\n"
        for name in source.tests
        for f in functions[name]
        if f.name == OWN_MAIN
    ]


def build_output(package: str, texts: Sequence[str]) -> list[StreamEvent]:
    """Return texts as events of the build of a package, one for each line."""
    now = time()
    return [
        StreamEvent(action="build-output", time=now, import_path=package, output=f"{line}\n")
        for text in texts
        for line in text.splitlines()
    ]
