"""JSON that others wrote or damaged, decoded within bounds.

Owns what `json` itself does not refuse: documents whose depth exhausts the stack, now or when their
values are shown, numbers without a value, and small documents that decode to very many values.
"""

import json
from json.decoder import JSONDecoder
from typing import Any

MOST_DEPTH = 250  # more than a value of Lua can have


def parse_json(text: bytes | str, *, most_values: int | None = None) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: it is not valid JSON, is nested more than 250 deep, or may have more than
            `most_values` values.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    if most_values is not None and _most_values_in(text) > most_values:
        raise TooManyValues(f"it has more than {most_values} values")
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MOST_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise _too_deep()


class TooManyValues(ValueError):
    """A document would decode to more values than are allowed."""


def _most_values_in(text: str) -> int:
    # Each value but the first follows one of these; signs inside of strings only add to the count.
    return sum(map(text.count, ("[", "{", ",")))


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MOST_DEPTH} deep")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text} is too large for a number")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
