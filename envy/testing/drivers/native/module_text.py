"""The text of a package's module, `package.ll`: the tests in it, and the table of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

_DEFINE = re.compile(
    r'\ndefine (?P<before>[^@\n]*)@(?P<symbol>"[^"\n]+"|[\w.$-]+)\((?P<after>.*)'
)  # far faster than one that looks at the beginning of each line
_DEBUG = re.compile(r"!dbg (!\d+)")
_NODE = re.compile(r"!\d+ = (?:distinct )?!(?P<kind>\w+)\((?P<fields>.*)\)")
_FIELD = re.compile(r'(\w+): ("(?:[^"\\]|\\.)*"|![\d]+|[^,()]+)')
_TABLE = "\n@envy_test_table = external "
_COUNT = "\n@envy_test_count = external "
_BYTE = re.compile(rb"\\([0-9A-Fa-f]{2})")
_RESULTS = {"i32": False, "void": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTest:
    """A test as the compiler saw it."""

    name: str  # as in the source, with its namespaces
    symbol: str  # as in the IR
    unit: str  # the source that was compiled
    line: int
    place: str  # FILE:LINE; the file may be one that the source includes
    returns_nothing: bool
    problem: str = ""  # why it cannot be run


class _Nodes:
    """The debug information that leads from a function to its name and source, read when asked."""

    def __init__(self, text: str) -> None:
        start = text.find("\n!0 = ") + 1
        # One a line, as a rule in the order of their numbers.
        self._lines = text[start:].split("\n") if start else []
        self._read: dict[str, tuple[str, dict[str, str]]] = {}

    def kind(self, reference: str) -> str:
        """Return the kind of a node; "" if there is none."""
        return self._node(reference)[0]

    def get(self, reference: str, name: str) -> str:
        """Return a field of a node, as text without quotes; "" if there is none."""
        return _unescaped(self._node(reference)[1].get(name, "").strip('"'))

    def place(self, reference: str) -> str:
        """Return where a function is defined, as `FILE:LINE`."""
        file = self.get(self.get(reference, "file"), "filename")
        return f"{os.path.normpath(file)}:{self.get(reference, 'line')}" if file else ""

    def _node(self, reference: str) -> tuple[str, dict[str, str]]:
        known = self._read.get(reference)
        if known is None:
            known = self._read[reference] = self._find(reference)
        return known

    def _find(self, reference: str) -> tuple[str, dict[str, str]]:
        begin, number = f"{reference} = ", reference[1:]
        if not number.isdecimal():
            return "", {}
        line = self._lines[int(number)] if int(number) < len(self._lines) else ""
        if not line.startswith(begin):
            line = next((line for line in self._lines if line.startswith(begin)), "")
        match = _NODE.fullmatch(line)
        if match is None:
            return "", {}
        return match["kind"], dict(_FIELD.findall(match["fields"]))


def find_tests(text: str, test_sources: Iterable[str]) -> list[NativeTest]:
    """Return the tests that the test sources define, by source and line."""
    defined = [match for match in _DEFINE.finditer(text) if "test_" in match["symbol"]]
    if not defined:
        return []
    nodes = _Nodes(text)
    given = list(test_sources)
    order = {os.path.normpath(source): number for number, source in enumerate(given)}
    tests = []
    for match in defined:
        test = _test(match, nodes)
        number = order.get(os.path.normpath(test.unit)) if test is not None else None
        if test is not None and number is not None:
            tests.append((number, replace(test, unit=given[number])))
    tests.sort(key=lambda row: (row[0], row[1].line, row[1].name))
    return [test for _, test in tests]


def _test(match: re.Match[str], nodes: _Nodes) -> NativeTest | None:
    before, after = match["before"].split(), match["after"]
    if {"internal", "linkonce_odr", "private"} & set(before):
        return None
    debug = _DEBUG.search(after)
    program = debug[1] if debug else ""
    name = nodes.get(program, "name")
    if not name.startswith("test_"):
        return None
    scopes = _scopes(nodes, nodes.get(program, "scope"))
    if scopes is None:  # a member of a class
        return None
    unit = nodes.get(nodes.get(nodes.get(program, "unit"), "file"), "filename")
    takes_nothing = after.startswith((")", "...)"))
    returned = before[-1] if before else ""
    problem = "" if takes_nothing and returned in _RESULTS and "zeroext" not in before else "wrong"
    return NativeTest(
        name="::".join([*scopes, name]),
        symbol=match["symbol"],
        unit=unit,
        line=int(nodes.get(program, "line") or 0),
        place=nodes.place(program),
        returns_nothing=_RESULTS.get(returned, False),
        problem=problem,
    )


def _scopes(nodes: _Nodes, reference: str) -> list[str] | None:
    scopes: list[str] = []
    while reference not in {"", "null"} and nodes.kind(reference) != "DIFile":
        if nodes.kind(reference) != "DINamespace":
            return None
        scopes.insert(0, nodes.get(reference, "name"))
        reference = nodes.get(reference, "scope")
    return scopes


def with_table(text: str, tests: Iterable[NativeTest], *, opaque: bool) -> str:
    """Return the module with the table of the tests, which the dispatcher declares."""
    tests = list(tests)
    pointer = "ptr" if opaque else "i8*"
    row = f"{{ {pointer}, {pointer}, {pointer}, i32 }}"
    lines, rows = [], []
    for number, test in enumerate(tests):
        texts = []
        for kind, value in (("name", test.name), ("unit", test.unit)):
            data = value.encode("utf-8", "surrogateescape") + b"\0"
            name = f"@envy.{kind}.{number}"
            array = f"[{len(data)} x i8]"
            lines.append(f'{name} = private constant {array} c"{_escaped(data)}"')
            texts.append(f"ptr {name}" if opaque else f"i8* bitcast ({array}* {name} to i8*)")
        function = f"ptr @{test.symbol}"
        if not opaque:
            result = "void" if test.returns_nothing else "i32"
            function = f"i8* bitcast ({result} ()* @{test.symbol} to i8*)"
        rows.append(f"{row} {{ {', '.join([*texts, function])}, i32 {int(test.returns_nothing)} }}")
    array = f"[{len(rows)} x {row}]"
    lines.append(f"@envy.rows = private constant {array} [{', '.join(rows)}]")
    table = "@envy_test_table = constant ptr @envy.rows"
    if not opaque:
        named = "%struct.envy_test_row*"
        table = f"@envy_test_table = constant {named} bitcast ({array}* @envy.rows to {named})"
    lines.append(table)
    text = _with_line(text, _TABLE, "\n".join(lines))
    return _with_line(text, _COUNT, f"@envy_test_count = constant i32 {len(tests)}")


def _with_line(text: str, begin: str, line: str) -> str:
    """Return a text with another line in the place of the first that begins so."""
    at = text.find(begin)
    if at < 0:
        return text
    end = text.find("\n", at + 1)
    return f"{text[:at]}\n{line}{text[end:] if end >= 0 else ''}"


def _unescaped(text: str) -> str:
    """Return a text of a module with its bytes, which are two hexadecimal digits each."""
    if "\\" not in text:
        return text
    data = text.encode("utf-8", "surrogateescape")
    data = _BYTE.sub(lambda match: bytes([int(match[1], 16)]), data)
    return data.decode("utf-8", "surrogateescape")


def _escaped(data: bytes) -> str:
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:./-+ "
    return "".join(chr(byte) if byte in plain else f"\\{byte:02X}" for byte in data)


def as_rows(tests: Iterable[NativeTest]) -> list[list[object]]:
    """Return tests as plain data."""
    return [[test.name, test.unit, test.line] for test in tests]


_GLOBAL = re.compile(r"^@(?P<symbol>\"[^\"\n]+\"|[\w.$-]+) = (?P<words>[^@{\n]*)", re.MULTILINE)
_WEAK = frozenset(
    {"internal", "private", "linkonce", "linkonce_odr", "weak", "weak_odr", "common", "appending",
     "available_externally", "external", "extern_weak"}
)  # fmt: skip


def strong_definitions(text: str) -> dict[str, str]:
    """Return what a module defines for all others: symbols with `FILE:LINE`, "" if unknown."""
    nodes = _Nodes(text)
    found = {}
    for match in _DEFINE.finditer(text):
        if not _WEAK & set(match["before"].split()):
            debug = _DEBUG.search(match["after"])
            found[match["symbol"].strip('"')] = nodes.place(debug[1]) if debug else ""
    for match in _GLOBAL.finditer(text):
        words = set(match["words"].split())
        if words & {"global", "constant"} and not _WEAK & words:
            found[match["symbol"].strip('"')] = ""
    return found


def name_in_source(symbol: str, text: str) -> str:
    """Return the name that the source gives to a symbol of C++, and that of C as it is."""
    if not symbol.startswith("_Z"):
        return symbol
    found = re.search(rf'name: "([^"]+)", linkageName: "{re.escape(symbol)}"', text)
    return found[1] if found else symbol
