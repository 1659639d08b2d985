"""What CTest tells: its list of tests with their properties, and its JUnit report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from envy.content.json_text import parse_json

_FILTER = "--gtest_filter="
_ALL = "--gtest_also_run_disabled_tests"
# Properties of a test that running it in one process with others of its program keeps.
_PLAIN = frozenset({"WORKING_DIRECTORY", "SKIP_REGULAR_EXPRESSION", "LABELS", "DISABLED",
                    "ENVIRONMENT", "PROCESSORS"})  # fmt: skip
_SKIPS = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE=")


class BadListing(ValueError):
    """CTest's answer is not of the known form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CTestTest:
    """A test; `number` is that by which `ctest -I` selects it."""

    number: int
    name: str
    command: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def timeout(self) -> float:
        """Its own limit in seconds; 0 if it has none."""
        value = self.properties.get("TIMEOUT", 0)
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def gtest(self) -> tuple[tuple[str, ...], str, str, tuple[str, ...]] | None:
        """Its program, folder, name and variables if it is one test of a GoogleTest program."""
        filters = [word for word in self.command if word.startswith(_FILTER)]
        if len(filters) != 1 or not set(self.properties) <= _PLAIN:
            return None
        name = filters[0].removeprefix(_FILTER)
        if any(sign in name for sign in "*?:") or name.startswith("-"):
            return None
        words = tuple(word for word in self.command if word not in {filters[0], _ALL})
        variables = self.properties.get("ENVIRONMENT", ())
        given = [variables] if isinstance(variables, str) else variables
        folder = str(self.properties.get("WORKING_DIRECTORY", ""))
        return words, folder, name, tuple(str(text) for text in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class CTestCase:
    """The result of a test."""

    name: str
    action: str
    reason: str = ""
    seconds: float = 0.0
    output: str = ""


def parse_listing(text: str) -> list[CTestTest]:
    """Return the tests in the output of `--show-only=json-v1`, in CTest's order.

    Raises:
        BadListing: The text is not of that form.
    """
    try:
        row = parse_json(text)
        return [
            CTestTest(
                number=number,
                name=str(test["name"]),
                command=tuple(str(word) for word in test.get("command", ())),
                properties={str(p["name"]): p.get("value") for p in test.get("properties", ())},
            )
            for number, test in enumerate(row["tests"], 1)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadListing(f"`ctest --show-only=json-v1` answered in an unknown form: {error}") from (
            error
        )


def parse_report(data: bytes) -> list[CTestCase]:
    """Return the results in the file of `--output-junit`.

    Raises:
        BadListing: The text is not of that form.
    """
    try:
        root = ET.fromstring(data)  # noqa: S314
        return [_case(element) for element in root.iter("testcase")]
    except (ET.ParseError, ValueError) as error:
        raise BadListing(f"the report of ctest cannot be read: {error}") from error


def _case(element: ET.Element) -> CTestCase:
    status = element.get("status", "")
    skipped, failure = element.find("skipped"), element.find("failure")
    why = next((e.get("message") or "" for e in (skipped, failure) if e is not None), "")
    if status == "run" and failure is None and skipped is None:
        action, reason = "pass", ""
    elif status == "disabled":
        action, reason = "skip", "disabled"
    elif skipped is not None and why.startswith(_SKIPS):
        action, reason = "skip", ""
    else:  # CTest also says `skipped` of tests that it could not start
        action, reason = "fail", why.strip().partition("\n")[0] or status.replace("fail", "")
    output = element.find("system-out")
    return CTestCase(
        name=element.get("name", ""),
        action=action,
        reason=reason,
        seconds=float(element.get("time") or 0.0),
        output="" if output is None else output.text or "",
    )


def numbers_of(numbers: Sequence[int]) -> str:
    """Return the argument of `-I` for exactly these tests."""
    first = numbers[0]
    return ",".join(map(str, [first, first, 1, *numbers[1:]]))


def programs_of(
    tests: Sequence[CTestTest],
) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...], list[str]]]:
    """Yield GoogleTest programs: words, folder, variables, and the names of their tests."""
    found: dict[tuple[tuple[str, ...], str, tuple[str, ...]], list[str]] = {}
    for test in tests:
        if test.gtest is not None:
            words, folder, name, variables = test.gtest
            found.setdefault((words, folder, variables), []).append(name)
    for (words, folder, variables), names in found.items():
        yield words, folder, variables, names
