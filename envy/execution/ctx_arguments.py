"""The arguments of the functions of `ctx`, checked."""

from __future__ import annotations

from envy.declarations import fields
from envy.errors import DeclarationError


def require_text(what: str, value: object) -> str:
    """Return an argument that must be a string with content.

    Raises:
        DeclarationError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise DeclarationError(f"{what}: expected a string, not {fields.describe(value)}")
    return value


def _strip(options: object) -> int | None:
    if options is None:
        return None
    strip = options.get("strip") if isinstance(options, dict) else None
    if not isinstance(options, dict) or isinstance(strip, bool) or not isinstance(strip or 0, int):
        raise DeclarationError("the options must be a table such as { strip = 1 }")
    return strip


def patch_options(options: object) -> tuple[int, int]:
    """Return `strip` and `fuzz` of ctx.patch."""
    if options is None:
        return 1, 0
    if isinstance(options, dict):
        fields.check_known(
            options, frozenset({"strip", "fuzz"}), what="the options of ctx.patch", origin=None
        )
    strip = _strip(options)
    fuzz = options.get("fuzz", 0) if isinstance(options, dict) else 0
    if type(fuzz) is not int or fuzz < 0:
        found = fuzz if type(fuzz) in {int, float} else fields.describe(fuzz)
        raise DeclarationError(
            f"ctx.patch: `fuzz` must be a number of lines from 0 on, not {found}",
            hint="0, the default, requires the whole context of each hunk to match",
        )
    return 1 if strip is None else strip, fuzz


def extract_options(options: object) -> tuple[int, str]:
    """Return `strip` and `dest` of ctx.extract and ctx.extract_all."""
    strip = _strip(options)
    dest = options.get("dest", ".") if isinstance(options, dict) else "."
    if not isinstance(dest, str):
        raise DeclarationError("`dest` of ctx.extract must be a path")
    return strip or 0, dest


def exec_words(argv: object, *, what: str = "ctx.exec") -> list[str]:
    """Return the argument of `ctx.exec`: a program and its arguments.

    Raises:
        DeclarationError: it is not an array of strings; the message names the first argument that
            is nil or not a string.
    """
    # An array with a nil in it arrives as a table of numbers.
    numbered = argv if isinstance(argv, dict) else dict(enumerate(_list(argv), 1))
    if not numbered or not all(isinstance(number, int) for number in numbered):
        raise DeclarationError(f'{what} takes an array of strings, such as {{"make", "test"}}')
    words: list[str] = []
    for number in range(1, max(numbered) + 1):
        word = numbered.get(number)
        if isinstance(word, str):
            words.append(word)
        else:
            raise DeclarationError(
                f"{what}: argument {number} is {fields.describe(word)}"
                + ("" if word is None else ", and must be a string")
            )
    return words


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
