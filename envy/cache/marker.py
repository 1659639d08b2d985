"""The marker of a complete entry: the full key, the format, and the root it was built under.

Readers open no other file, so the marker contains everything that decides about a hit. An entry
that contains the path of its root, in a script or a link for instance, is useless under another.
"""

import json
from dataclasses import dataclass

from envy.content.json_text import parse_json

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The content of a marker; `holds_root` says whether the payload contains the root's path."""

    key_hex: str
    root: str
    holds_root: bool


def encode_marker(marker: Marker) -> bytes:
    """Return the content of a marker file."""
    row = {
        "format": FORMAT,
        "key": marker.key_hex,
        "root": marker.root,
        "holds_root": marker.holds_root,
    }
    return json.dumps(row).encode("ascii") + b"\n"


def decode_marker(data: bytes) -> Marker | None:
    """Parse the content of a marker file; None if it is damaged or has another format."""
    try:
        row = parse_json(data)
        if row["format"] != FORMAT:
            return None
        return Marker(
            key_hex=str(row["key"]), root=str(row["root"]), holds_root=bool(row["holds_root"])
        )
    except (ValueError, TypeError, KeyError):
        return None
