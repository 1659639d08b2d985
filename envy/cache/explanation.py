"""Why an entry key changed: the record of a key beside each entry, and their comparison.

The record, `envy-ingredients.json`, has two lines: the ingredients, whose digest is the key, and
notes that explain them (the canonical key, the names of dependencies, the text of the recipe).
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import INGREDIENTS
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.option_text import parse_options
from envy.errors import EnvyError
from envy.limits import CACHE_FILE

_encode = json.JSONEncoder(sort_keys=True).encode
_MOST_LINES = 3
_MOST_SIBLINGS = 50
_LONGEST = 100
_MOST_COMPARED = 5000  # lines
_MOST_PAIRS = 200_000  # equal lines
_CONTEXT = 20  # characters before the first difference of two long values

# (canonical key of a dependency, its former entry key) -> lines that say why that key changed.
Deeper = Callable[[str, str], Sequence[str]]

_MOST_VALUES = 1_000_000  # of a record, which others may have written


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """The ingredients of one entry, with their notes; `at` is when they were written."""

    ingredients: Mapping[str, Any]
    notes: Mapping[str, Any]
    at: float = 0.0

    @property
    def key(self) -> str:
        """The canonical key of the package."""
        return str(self.notes.get("key") or self.ingredients.get("identity", ""))

    @property
    def dependencies(self) -> dict[str, str]:
        """The entry key of each dependency, by canonical key."""
        names = self.notes.get("dependencies") or {}
        keys = self.ingredients.get("dependencies") or ()
        return {str(names.get(key, key)): key for key in keys}


def format_key_record(ingredients_json: str, notes: Mapping[str, object]) -> str:
    """Return the content of the record for an entry."""
    return f"{ingredients_json}\n{_encode(notes)}\n"


def parse_key_record(text: str, *, at: float = 0.0) -> KeyRecord | None:
    """Parse the content of a record; None if it is damaged."""
    first, _, second = text.partition("\n")
    try:
        ingredients = parse_json(first, most_values=_MOST_VALUES)
        notes = parse_json(second or "{}", most_values=_MOST_VALUES)
    except ValueError:
        return None
    if not _has_form(ingredients, notes):
        return None
    return KeyRecord(ingredients=ingredients, notes=notes, at=at)


def _has_form(ingredients: object, notes: object) -> bool:
    """Return whether every field that is read has the type that envy writes."""
    if not isinstance(ingredients, dict) or not isinstance(notes, dict):
        return False
    mappings = [*(ingredients.get(name) for name in _MAPPINGS), notes.get("dependencies")]
    lists = [ingredients.get("sources"), ingredients.get("dependencies"), notes.get("relocate")]
    return (
        all(value is None or isinstance(value, dict) for value in mappings)
        and all(value is None or isinstance(value, list) for value in lists)
        and all(isinstance(text, str) for text in [*(lists[1] or ()), *(lists[2] or ())])
    )


def read_key_record(entry: EntryPaths) -> KeyRecord | None:
    """Read the record of an entry; None if it is missing, damaged or unreadable."""
    path = entry.at(INGREDIENTS)
    try:
        text = read_plain(path, CACHE_FILE).decode("utf-8", "surrogateescape")
        return parse_key_record(text, at=os.stat(path).st_mtime)
    except (OSError, NotPlain):
        return None


def nearest_earlier(layout: CacheLayout, new: KeyRecord) -> KeyRecord | None:
    """Return the earlier entry of the package with the fewest changes; of equals, the latest.

    Entries of another revision are considered only if this revision has none.
    """
    identity = str(new.ingredients["identity"])
    found = _entries_of(layout, [identity])
    if not found:
        name = identity.partition("@")[0] + "@"
        found = _entries_of(layout, [i for i in _names(layout) if i.startswith(name)])
    return min(found, key=lambda old: (len(changes(old, new)), -old.at), default=None)


def changes(
    old: KeyRecord, new: KeyRecord, *, deeper: Deeper = lambda _key, _entry_key: ()
) -> list[str]:
    """Return the differences, one line each, in the terms that a recipe author uses."""
    before, after = old.ingredients, new.ingredients
    lines = _value_change("identity", before, after)
    lines += _option_changes(
        str(before.get("options_text", "")), str(after.get("options_text", ""))
    )
    if before.get("recipe_digest") != after.get("recipe_digest"):
        lines += _recipe_changes(old.notes.get("recipe"), new.notes.get("recipe"))
    for name, label in _MAPPINGS.items():
        lines += _mapping_changes(label, before.get(name) or {}, after.get(name) or {})
    lines += _list_changes("source", before.get("sources") or (), after.get("sources") or ())
    for name in ("platform", "abi", "shell"):
        lines += _value_change(name, before, after)
    return lines + _dependency_changes(old.dependencies, new.dependencies, deeper)


_MAPPINGS = {
    "modules": "module {}",
    "reads_files": "file {}, which the recipe reads,",
    "reads_variables": "variable {}, which the recipe reads,",
    "inputs": "input {}",
    "host": "program {} of this machine",
    "pass_env": "variable {} (pass_env)",
}
_HOLDS_DIGESTS = frozenset({"modules", "reads_files", "inputs"})


def _entries_of(layout: CacheLayout, identities: Iterable[str]) -> list[KeyRecord]:
    found: list[KeyRecord] = []
    for identity in identities:
        try:
            names = os.listdir(os.path.join(layout.assets_root, identity))
        except OSError:
            continue
        for name in names[:_MOST_SIBLINGS]:
            location = os.path.join(layout.assets_root, identity, name)
            kept = read_key_record(EntryPaths(str(layout.root), location))
            if kept is not None:
                found.append(kept)
    return found


def _names(layout: CacheLayout) -> list[str]:
    try:
        return os.listdir(layout.assets_root)
    except OSError:
        return []


def _value_change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    if before.get(name) == after.get(name):
        return []
    return [f"{name}: {_shown_change(before.get(name), after.get(name))}"]


def _shown_change(before: object, after: object) -> str:
    """Return two values; of long ones, the part in which they differ, with what surrounds it."""
    old, new = ("none" if value in (None, "") else str(value) for value in (before, after))
    if max(len(old), len(new)) > _LONGEST and "none" not in (old, new):
        pairs = enumerate(zip(old, new, strict=False))
        start = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
        start = max(0, start - _CONTEXT) if start > _CONTEXT * 2 else 0
        old, new = (("…" if start else "") + text[start:] for text in (old, new))
    return f"{_cut(old)} → {_cut(new)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _option_changes(before: str, after: str) -> list[str]:
    if before == after:
        return []
    try:
        old, new = (dict(parse_options(text)) if text else {} for text in (before, after))
    except EnvyError:
        return [f"options: {_shown_change(before, after)}"]
    return [
        f"option {name}: {_shown_change(_option(old, name), _option(new, name))}"
        for name in sorted({*old, *new})
        if _option(old, name) != _option(new, name)
    ]


def _option(options: Mapping[str, object], name: str) -> str:
    return json.dumps(options[name], sort_keys=True) if name in options else ""


def _recipe_changes(before: object, after: object) -> list[str]:
    if not isinstance(before, str) or not isinstance(after, str):
        return ["the recipe file changed"]
    old, new = before.splitlines(), after.splitlines()
    if _is_long_to_compare(old, new):
        return ["the recipe file changed"]
    rows: list[str] = []
    import difflib

    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            continue
        removed = old[old_from].strip() if old_to > old_from else "nothing"
        added = new[new_from].strip() if new_to > new_from else "nothing"
        more = max(old_to - old_from, new_to - new_from) - 1
        rows.append(
            f"recipe line {new_from + 1}: {_shown_change(removed, added)}"
            + (f" and {more} more" if more else "")
        )
    if len(rows) > _MOST_LINES:
        rows[_MOST_LINES:] = [f"recipe: {len(rows) - _MOST_LINES} more changes"]
    return rows or ["the line endings of the recipe file changed"]


def _is_long_to_compare(old: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether a comparison would take minutes: its time is quadratic, or worse."""
    if len(old) + len(new) > _MOST_COMPARED:
        return True
    counts = Counter(new)
    return sum(counts[line] for line in old) > _MOST_PAIRS


def _mapping_changes(label: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        what = label.format(name)
        if name in before and name in after and old == new:
            continue
        if name not in before:
            lines.append(f"{what} is new")
        elif name not in after:
            lines.append(f"{what} is no longer used")
        elif label in {_MAPPINGS[field] for field in _HOLDS_DIGESTS}:
            lines.append(f"{what} {_change(old, new)}")
        else:
            lines.append(f"{what}: {_shown_change(old, new)}")
    return lines


def _change(old: object, new: object) -> str:
    if old is None:
        return "appeared"
    return "was removed" if new is None else "changed"


def _list_changes(label: str, before: Sequence[object], after: Sequence[object]) -> list[str]:
    if list(before) == list(after):
        return []
    removed = [str(row) for row in before if row not in after]
    added = [str(row) for row in after if row not in before]
    if not removed and not added:
        return [f"{label}s are in a different order"]
    pairs = max(len(removed), len(added))
    removed += [""] * (pairs - len(removed))
    added += [""] * (pairs - len(added))
    return [f"{label}: {_shown_change(old, new)}" for old, new in zip(removed, added, strict=True)]


def _dependency_changes(
    before: Mapping[str, str], after: Mapping[str, str], deeper: Deeper
) -> list[str]:
    lines: list[str] = []
    removed = {key for key in before if key not in after}
    for key in sorted(after):
        if key in before:
            if before[key] != after[key]:
                lines.append(f"dependency {key} changed")
                lines += [f"  {line}" for line in deeper(key, before[key])]
            continue
        name = key.partition("@")[0]
        former = next((old for old in sorted(removed) if old.partition("@")[0] == name), None)
        if former is None:
            lines.append(f"dependency {key} is new")
        else:
            removed.discard(former)
            lines.append(f"dependency {former} → {key}")
    return lines + [f"dependency {key} was removed" for key in sorted(removed)]
