"""Where an entry was taken from that was not built in this cache, and whose signature it had.

Guarantees
  The record is there before the marker, and is removed when the entry is built anew. One that
  cannot be read counts as that of an entry which nobody signed.
"""

import json
from dataclasses import dataclass

from envy.cache.filesystem import REAL, FileSystem
from envy.cache.layout import EntryPaths
from envy.cache.names import ORIGIN
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.limits import CACHE_FILE


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that an entry was taken from, as users see it.

    `signer` is the number of the key of a signature that was verified, as minisign shows it, or "".
    """

    place: str
    signer: str = ""


def write_origin(entry: EntryPaths, origin: Origin, files: FileSystem = REAL) -> None:
    """Record where an entry comes from; the caller holds its lock, and it has no marker.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps({"place": origin.place, "signer": origin.signer})
    files.remove(entry.at(ORIGIN))  # nothing is written through a link
    files.write_file(entry.at(ORIGIN), text.encode("ascii"))


def read_origin(entry: EntryPaths) -> Origin | None:
    """Return where an entry was taken from; None if it was built here."""
    try:
        row = parse_json(read_plain(entry.at(ORIGIN), CACHE_FILE))
        return Origin(str(row["place"]), str(row["signer"]))
    except FileNotFoundError:
        return None
    except (OSError, NotPlain, ValueError, TypeError, KeyError):
        return Origin("an unknown place")
