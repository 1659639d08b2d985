"""The page of a project in a Python package index, in JSON or HTML, parsed into data.

Owns both forms of the page. Opens no connection.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urlsplit

from envy.errors import FetchError
from envy.transport.addresses import joined, redacted

# Strongest first; others prove nothing, or are not in hashlib everywhere.
_ALGORITHMS = ("sha512", "sha384", "sha256", "blake2b", "sha1", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One file of a project; `yanked` is the reason ("" if none is given), or None.

    `page` is the URL of the page that names the file, which decides what `url` may be.
    """

    name: str
    url: str
    page: str
    digest: tuple[str, str] | None = None
    yanked: str | None = None


def parse_json_page(body: bytes, base: str) -> tuple[ReleaseFile, ...]:
    """Return the files of a JSON page (PEP 691).

    Raises:
        FetchError: the page has another form.
    """
    try:
        rows = json.loads(body)["files"]
        return tuple(file for row in rows if (file := _file_of_row(row, base)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(
            f"{redacted(base)} is not a valid page of a package index: {error!r}",
            uri=redacted(base),
        ) from error


def _file_of_row(row: Mapping[str, object], base: str) -> ReleaseFile | None:
    name = str(row["filename"])
    hashes = row.get("hashes") or {}
    yanked = row.get("yanked") or None
    url = joined(base, str(row["url"]))
    if not _is_plain(name) or not isinstance(hashes, dict) or url is None:
        return None
    return ReleaseFile(
        name=name,
        url=url,
        page=base,
        digest=_strongest({str(key).lower(): str(value) for key, value in hashes.items()}),
        yanked=yanked if isinstance(yanked, str) else ("" if yanked else None),
    )


def parse_html_page(body: bytes, base: str) -> tuple[ReleaseFile, ...]:
    """Return the files of an HTML page (PEP 503)."""
    reader = _Anchors(base)
    reader.feed(body.decode("utf-8", errors="replace"))
    reader.close()
    return tuple(reader.files)


class _Anchors(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.page = self.base = base
        self.files: list[ReleaseFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        address = attributes.get("href") or ""
        if tag == "base" and address:
            self.base = joined(self.base, address) or self.base
        if tag != "a" or not address:
            return
        url, fragment = urldefrag(joined(self.base, address) or "")
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        if not _is_plain(name):
            return
        algorithm, _, digest = fragment.partition("=")
        yanked = (attributes["data-yanked"] or "") if "data-yanked" in attributes else None
        self.files.append(
            ReleaseFile(
                name=name,
                url=url,
                page=self.page,
                digest=_strongest({algorithm.lower(): digest}),
                yanked=yanked,
            )
        )


def _strongest(hashes: Mapping[str, str]) -> tuple[str, str] | None:
    for algorithm in _ALGORITHMS:
        if hashes.get(algorithm) and algorithm in hashlib.algorithms_available:
            return algorithm, hashes[algorithm].lower()
    return None


def _is_plain(name: str) -> bool:
    """Return whether a name from an index is a plain file name, without a folder."""
    return name not in {"", ".", ".."} and not any(sign in name for sign in "/\\\0")
