"""The marker of a complete entry: the full key, the format, and the root it was made under.

Readers look at nothing else, so it says all that decides about a hit. An entry that holds the
root's path, in a script or a link for instance, is of no use under another root.
"""

import json
from dataclasses import dataclass

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What a marker says."""

    key_hex: str
    root: str
    holds_root: bool


def encode_marker(marker: Marker) -> bytes:
    """The content of the file."""
    row = {
        "format": FORMAT,
        "key": marker.key_hex,
        "root": marker.root,
        "holds_root": marker.holds_root,
    }
    return json.dumps(row).encode("ascii") + b"\n"


def decode_marker(data: bytes) -> Marker | None:
    """What a file says; None if it is damaged or of another format."""
    try:
        row = json.loads(data)
        if row["format"] != FORMAT:
            return None
        return Marker(
            key_hex=str(row["key"]), root=str(row["root"]), holds_root=bool(row["holds_root"])
        )
    except (ValueError, TypeError, KeyError):
        return None
