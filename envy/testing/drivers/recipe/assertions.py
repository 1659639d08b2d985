"""The functions of `t` that compare: each fails the test with what it found, or does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

from envy.declarations import fields
from envy.errors import DeclarationError, EnvyError, LuaScriptError
from envy.lua.values import LuaFunction
from envy.testing.drivers.recipe.arguments import function_of, text_of
from envy.testing.drivers.recipe.comparison import are_equal, difference, shown


class AssertionFailed(EnvyError):
    """Something is not as a test expects it."""


class SkippedTest(EnvyError):
    """A test ends itself, and has neither passed nor failed."""


class Assertions:
    """The comparisons of one test. The first failure stays known, even if Lua catches the error."""

    def __init__(self, call: Callable[[LuaFunction], object]) -> None:
        self._call = call
        self.first_failure: AssertionFailed | None = None
        self.skip_reason: str | None = None

    def equal(self, found: object = None, wanted: object = None, what: object = None) -> None:
        """Fail unless two values are equal; tables are compared by content."""
        if not are_equal(found, wanted):
            self._fail("t.equal", what, "the values differ", difference(found, wanted))

    def ok(self, value: object = None, what: object = None) -> None:
        """Fail if a value is nil or false."""
        if value is None or value is False:
            self._fail("t.ok", what, f"the value is {shown(value)}")

    def contains(self, found: object = None, part: object = None, what: object = None) -> None:
        """Fail unless a text has a part, or an array has an element."""
        if isinstance(found, str):
            wanted = text_of("t.contains", part, "what a text contains")
            if wanted not in found:
                self._fail("t.contains", what, f"{shown(part)} is not in the text", _quoted(found))
        elif isinstance(found, list) or found == {}:
            if not any(are_equal(each, part) for each in (found or ())):
                rows = "\n".join(shown(each) for each in (found or ())) or "(it is empty)"
                self._fail("t.contains", what, f"{shown(part)} is not in the array", rows)
        else:
            given = fields.describe(found)
            raise DeclarationError(f"t.contains: it looks into a text or an array, not {given}")

    def error_contains(
        self, function: object = None, part: object = None, what: object = None
    ) -> str:
        """Fail unless a function fails, with a text in its error; return the error."""
        called = function_of("t.error_contains", function)
        wanted = text_of("t.error_contains", part, "its second argument")
        known = self.first_failure
        try:
            self._call(called)
        except AssertionFailed:
            raise
        except EnvyError as error:
            if self.first_failure is not known and self.first_failure is not None:
                raise self.first_failure from error
            text = error_text(error)
            if wanted not in text:
                self._fail(
                    "t.error_contains", what, f"{shown(part)} is not in the error", _quoted(text)
                )
            return text
        self._fail("t.error_contains", what, "the function did not fail", f"wanted: {shown(part)}")
        return ""

    def fail(self, message: object = None) -> None:
        """Fail."""
        self._fail("t.fail", None, text_of("t.fail", message))

    def skip(self, reason: object = None) -> None:
        """End the test as skipped."""
        self.skip_reason = text_of("t.skip", reason)
        raise SkippedTest(self.skip_reason)

    def _fail(self, function: str, what: object, why: str, more: str = "") -> None:
        said = f"{what}: " if isinstance(what, str) and what else ""
        indented = "".join(f"\n    {line}" for line in more.splitlines())
        failure = AssertionFailed(f"{function}: {said}{why}{indented}")
        self.first_failure = self.first_failure or failure
        raise failure


def error_text(error: BaseException) -> str:
    """Return the whole text of an error, with its hint."""
    if isinstance(error, LuaScriptError) and isinstance(error.cause, EnvyError):
        whole = str(error.cause)
        # An error that Lua code has changed is another one.
        return whole if error.cause.message.partition("\n")[0] in error.message else str(error)
    return str(error)


def _quoted(text: str) -> str:
    return re.sub(r"^", "| ", text.rstrip("\n"), flags=re.MULTILINE) if text else "| (empty)"
