"""Whether an entry that was made under another root has room for the path of this one.

Judged by its records alone, before its payload is transferred or after it was seen elsewhere.
"""

import os

from envy.cache.explanation import parse_key_record
from envy.cache.read import is_same_root
from envy.cache.relocate import relocatable
from envy.cache.verify import RecordedFingerprint


def why_no_room(recorded: RecordedFingerprint, ingredients: bytes, root: str) -> str:
    """Return why an entry cannot be used under a root, or ""; `ingredients` is its record.

    What only its files tell is not known here.
    """
    if is_same_root(recorded.root, root):
        return ""
    kept = parse_key_record(ingredients.decode("utf-8", "surrogateescape"))
    named = kept.notes.get("relocate") if kept is not None else None
    where = relocatable(recorded, named if isinstance(named, list) else [])
    if where.why_not:
        return f"it was built under {recorded.root}, and {where.why_not}"
    size = len(os.fsencode(root))
    if where.longest_root is not None and size > where.longest_root:
        return (
            f"it was built under {recorded.root} and has room for a cache root of at most "
            f"{where.longest_root} bytes, and this one has {size}: choose a shorter one, or say "
            'relocate = "padded" in the recipe'
        )
    return ""
