"""The text that a key is made of: named parts, each a text or a list of texts.

Guarantees
  Different parts have different texts, whatever they contain: the length of each is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Parts = Mapping[str, str | Sequence[str]]


def key_text(parts: Parts, shown: Callable[[str], str] = str) -> str:
    """Return the text of parts; `shown` returns each text as it counts."""
    found = []
    for name, part in parts.items():
        texts = [part] if isinstance(part, str) else part
        kind = "text" if isinstance(part, str) else f"list {len(texts)}"
        found.append(f"{name} {kind}\n")
        found += [f"{len(text)} {text}\n" for text in map(shown, texts)]
    return "".join(found)
