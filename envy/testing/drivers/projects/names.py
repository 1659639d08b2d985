"""The names of tests of other runners, as events have them."""

from __future__ import annotations

_LONGEST = 500


def test_name(text: str) -> str:
    """Return a name for one level of a test: a slash, which divides levels, becomes `%2F`.

    Other characters that no line can show are replaced, and a long name is cut.
    """
    text = text.replace("/", "%2F")
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)
    text = text.strip() or "(no name)"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def raw_name(name: str) -> str:
    """Return what `test_name` was given, if it was short and printable."""
    return name.replace("%2F", "/")


test_name.__test__ = False  # type: ignore[attr-defined]


def _escaped(letter: str) -> str:
    if letter in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[letter]
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def test_path(*levels: str) -> str:
    """Return the name of a test or subtest from the names of its levels."""
    return "/".join(test_name(level) for level in levels)


test_path.__test__ = False  # type: ignore[attr-defined]
