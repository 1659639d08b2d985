"""The start tags of an HTML page, read in linear time.

The parser of the standard library takes quadratic time for pages that are made to be slow.
"""

import html
import re
from collections.abc import Collection, Iterator

_OPENING = re.compile(r"<(?:!--|([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>]))")
_ATTRIBUTE = re.compile(
    r"[\s/]*([^\s=>/\"'][^\s=>/]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"'][^\s>]*)))?"
)
_END = re.compile(r"[^>]*>")
_LONGEST_TAG = 16_384
# Their content is text, whatever it looks like.
_RAW = frozenset({"script", "style", "textarea", "title"})


def start_tags(text: str, wanted: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and attributes of each start tag with a name in `wanted`, in lower case.

    A tag of more than 16 KiB, or without an end, is passed over.
    """
    at = 0
    while found := _OPENING.search(text, at):
        at = found.end()
        name = (found[1] or "").lower()
        if not name:
            at = _after(text, "-->", at)
        elif name in _RAW:
            at = _after(text, f"</{name}", at)
        elif name in wanted:
            attributes, end = _attributes(text, at, min(len(text), at + _LONGEST_TAG))
            if end is not None:
                yield name, attributes
            at = end or at + _LONGEST_TAG


def _after(text: str, mark: str, start: int) -> int:
    """Return the end of the next `mark`, in any case; the end of the text without one."""
    found = re.compile(re.escape(mark), re.IGNORECASE).search(text, start)
    return found.end() if found else len(text)


def _attributes(text: str, at: int, stop: int) -> tuple[dict[str, str], int | None]:
    """Return the attributes that begin at `at`, and the end of their tag; None without an end."""
    found: dict[str, str] = {}
    while match := _ATTRIBUTE.match(text, at, stop):
        value = next((value for value in match.groups()[1:] if value is not None), "")
        found.setdefault(match[1].lower(), _unescaped(value))
        at = match.end()
    end = _END.match(text, at, stop)
    return found, end.end() if end else None


def _unescaped(value: str) -> str:
    try:
        return html.unescape(value)
    except ValueError:  # the number of a character has thousands of digits
        return value
