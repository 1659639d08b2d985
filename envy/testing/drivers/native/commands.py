"""The commands of a build: those of the toolchain, and shorter ones that zig tells.

`zig cc` translates its words for the clang inside it, keeps a cache of its own, and names each of
some two hundred features of the processor, which then stand in every function's IR. It tells the
translated words when asked with `-###`: once for all sources with the same flags.

Guarantees
  A shorter command has only words that zig gave. If it fails, zig's own command decides.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from envy.errors import EnvyError
from envy.interpreter import released
from envy.testing.drivers.native.store import NativeStore, key_of
from envy.testing.drivers.native.toolchain import NativeToolchain, header_list
from envy.testing.drivers.native.units import Unit

Way = list[list[str]]  # commands, one after the other
Run = Callable[[Sequence[str], str], str]  # a command in a folder; returns what it said

_NAME = "envy_probe"  # of the file that zig is asked about
_IS_OF_UNIT = re.compile(r"-iquote.|-Dmain=envy_main_of_")  # these differ from unit to unit
_INPUT, _OUTPUT, _MAIN = "\0input", "\0output", "\0main"
_ASKED = ("ZIG_", "CCC_", "CLANG_", "SOURCE_DATE_EPOCH")  # variables that change the words
_TRIED = {"a": "int envy_probe_a(void) { return 1; }\n", "b": "int envy_probe_b = 2;\n"}


class Commands:
    """The commands of a toolchain, as ways to try: the last one is to be trusted."""

    def __init__(self, toolchain: NativeToolchain) -> None:
        self._toolchain = toolchain

    def to_bitcode(self, unit: Unit, output: Path, headers: Path) -> list[Way]:
        """Return the ways to compile a source."""
        tools = self._toolchain
        return [[tools.to_bitcode(unit.source, output, headers, unit.flags, cxx=unit.is_cxx)]]

    def to_module(self, parts: Sequence[Path], output: Path, folder: str) -> list[Way]:
        """Return the ways to join bitcode to one module, written as text."""
        del folder
        return [self._toolchain.to_module(parts, output)]

    def to_object(self, text: Path, output: Path, folder: str) -> list[Way]:
        """Return the ways to generate the code of a module."""
        del folder
        return [[self._toolchain.to_object(text, output)]]

    def to_executable(
        self, code: Path, output: Path, flags: Sequence[str], *, cxx: bool
    ) -> list[Way]:
        """Return the ways to link an executable."""
        return [[self._toolchain.to_executable(code, output, flags, cxx=cxx)]]


@dataclass(frozen=True, slots=True)
class _Template:
    """A command with gaps for its files."""

    words: tuple[str, ...]

    def filled(self, source: str, output: Path, *more: str) -> list[str]:
        gaps = {_INPUT: source, _OUTPUT: str(output), _MAIN: os.path.basename(source)}  # noqa: PTH119
        words = [gaps.get(word, word) for word in self.words]
        return [*words[:2], *more, *words[2:]]  # the program and `-cc1` come first


class DirectCommands(Commands):
    """The commands of zig, without the layer that translates them; used by several threads."""

    def __init__(
        self, toolchain: NativeToolchain, store: NativeStore, scratch: Path, run: Run
    ) -> None:
        super().__init__(toolchain)
        self._store = store
        self._scratch = scratch
        self._run = run
        self._lock = threading.RLock()  # asking once is enough
        self._known: dict[str, _Template | None] = {}
        self._joins: bool | None = None

    def to_bitcode(self, unit: Unit, output: Path, headers: Path) -> list[Way]:
        """Return the ways to compile a source."""
        ways = super().to_bitcode(unit, output, headers)
        own = [word for word in unit.flags if _IS_OF_UNIT.match(word)]
        flags = [word for word in unit.flags if word not in own]
        asked = self._toolchain.to_bitcode(_INPUT, Path(_OUTPUT), None, flags, cxx=unit.is_cxx)
        template = self._template(asked, unit.folder, ".cpp" if unit.is_cxx else ".c")
        if template is not None:
            ways.insert(0, [template.filled(unit.source, output, *own, *header_list(headers))])
        return ways

    def to_module(self, parts: Sequence[Path], output: Path, folder: str) -> list[Way]:
        """Return the ways to join bitcode to one module, written as text."""
        ways = super().to_module(parts, output, folder)
        joined = self._joined(parts, output, folder)
        if joined is not None and self._can_join(folder):
            ways.insert(0, [joined])
        return ways

    def to_object(self, text: Path, output: Path, folder: str) -> list[Way]:
        """Return the ways to generate the code of a module."""
        ways = super().to_object(text, output, folder)
        asked = self._toolchain.to_object(Path(_INPUT), Path(_OUTPUT))
        template = self._template(asked, folder, ".ll")
        if template is not None:
            ways.insert(0, [template.filled(str(text), output)])
        return ways

    def _joined(self, parts: Sequence[Path], output: Path, folder: str) -> list[str] | None:
        asked = self._toolchain.to_text(Path(_INPUT), Path(_OUTPUT))
        template = self._template(asked, folder, ".bc")
        if template is None:
            return None
        more = [word for part in parts[1:] for word in ("-mlink-bitcode-file", str(part))]
        return template.filled(str(parts[0]), output, *more)

    # -- asking zig ------------------------------------------------------------------------------

    def _template(self, asked: Sequence[str], folder: str, suffix: str) -> _Template | None:
        """Return what zig makes of a command; None if that cannot be told."""
        tools = self._toolchain
        key = key_of("zig-words", tools.identity, folder, list(asked), _facts(tools.environment))
        with self._one_at_a_time():
            if key not in self._known:
                self._known[key] = self._stored(key) or self._ask(key, asked, folder, suffix)
            return self._known[key]

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with released():  # whoever asks needs the interpreter to come to an end
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _stored(self, key: str) -> _Template | None:
        words = self._store.read_record(key).get("words")
        if not isinstance(words, list) or words[:2] != [str(self._toolchain.program), "-cc1"]:
            return None
        return _Template(tuple(map(str, words)))

    def _ask(self, key: str, asked: Sequence[str], folder: str, suffix: str) -> _Template | None:
        probe = self._scratch / f"{_NAME}{suffix}"
        gaps = {_INPUT: str(probe), _OUTPUT: str(self._scratch / "output")}
        try:
            probe.write_text("", encoding="utf-8")
            said = self._run([*(gaps.get(word, word) for word in asked), "-###"], folder)
        except (EnvyError, OSError):
            return None
        words = template_words(said, str(probe))
        if words is None:
            return None
        self._store.write_record(key, {"words": words})
        return _Template(tuple(words))

    def _can_join(self, folder: str) -> bool:
        """Return whether this zig joins as it compiles; older ones would leave the parts out."""
        with self._one_at_a_time():
            if self._joins is None:
                key = key_of("zig-joins", self._toolchain.identity)
                known = self._store.read_record(key).get("joins")
                if not isinstance(known, bool):
                    known = self._try_to_join(folder)
                    if known is not None:
                        self._store.write_record(key, {"joins": known})
                self._joins = bool(known)
            return self._joins

    def _try_to_join(self, folder: str) -> bool | None:
        """Return whether two joined sources are both in the text; None if that stays unknown."""
        parts = []
        output = self._scratch / f"{_NAME}.ll"
        try:
            for name, text in _TRIED.items():
                source = self._scratch / f"{_NAME}_{name}.c"
                source.write_text(text, encoding="utf-8")
                parts.append(source.with_suffix(".bc"))
                argv = self._toolchain.to_bitcode(str(source), parts[-1], None, [], cxx=False)
                self._run(argv, folder)
            joined = self._joined(parts, output, folder)
            if joined is None:
                return None
            self._run(joined, folder)
            text = output.read_text(encoding="utf-8", errors="replace")
        except (EnvyError, OSError):
            return None
        return "@envy_probe_a(" in text and "@envy_probe_b = " in text


def _facts(environment: Mapping[str, str]) -> list[str]:
    return [
        f"{name}={environment[name]}" for name in sorted(environment) if name.startswith(_ASKED)
    ]


def template_words(said: str, source: str) -> list[str] | None:
    """Return the words of the one compiler that `-###` told, with gaps; None if it is not plain."""
    lines = [line for line in said.splitlines() if '"-cc1"' in line]
    if len(lines) != 1 or _QUOTED_WORDS.fullmatch(lines[0]) is None or "\ufffd" in said:
        return None
    words = [_ESCAPED.sub(r"\1", word) for word in _QUOTED_WORD.findall(lines[0])]
    if words[1:2] != ["-cc1"] or words[-1] != source or words.count("-o") != 1:
        return None
    words[-1] = _INPUT
    words[words.index("-o") + 1] = _OUTPUT  # with -###, zig names another file
    if "-main-file-name" in words:
        words[words.index("-main-file-name") + 1] = _MAIN
    folder = os.path.dirname(source)  # noqa: PTH120  of this run
    if any(folder in word for word in words):
        return None
    return _without_idle_features(words)


def _without_idle_features(words: Sequence[str]) -> list[str]:
    """Leave out the features that are to be off, if those that are on are x86-64's own."""
    values = {name: {b for a, b in pairwise(words) if a == name} for name in _ABOUT_PROCESSOR}
    on = {name[1:] for name in values["-target-feature"] if name[0] == "+"}
    off = {name[1:] for name in values["-target-feature"] if name[0] == "-"}
    if values["-target-cpu"] != {"x86-64"} or on - _X86_64 or off & _X86_64:
        return list(words)
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        value = next(rest) if word == "-target-feature" else ""
        if not value.startswith("-"):
            kept += [word, value] if value else [word]
    return kept


_QUOTED_WORDS = re.compile(r' *(?:"(?:[^"\\]|\\.)*" *)+')
_QUOTED_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_ABOUT_PROCESSOR = ("-target-cpu", "-target-feature")
# What clang gives to `x86-64`, and what is only a matter of speed.
_X86_64 = frozenset(
    {"64bit", "cmov", "cx8", "fxsr", "idivq-to-divl", "macrofusion", "mmx", "nopl",
     "slow-3ops-lea", "slow-incdec", "sse", "sse2", "vzeroupper", "x87"}
)  # fmt: skip
