"""The page of a project in a Python package index, in JSON or HTML, parsed into data.

Owns both forms of the page. Opens no connection.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag, urlsplit

from envy.content.json_text import TooManyValues, parse_json
from envy.errors import FetchError
from envy.limits import REGISTRY_FILES, REGISTRY_VALUES, Limit
from envy.transport.addresses import joined, redacted
from envy.transport.digests import ExpectedDigest
from envy.transport.html_tags import start_tags

_LARGEST = 1 << 59  # bytes of a file
_LONGEST_NAME = 255  # bytes, of a file on every system
_LONGEST_TIME = 40
# Strongest first; others prove nothing, or are not in hashlib everywhere.
_ALGORITHMS = ("sha512", "sha384", "sha256", "blake2b", "sha1", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One file of a project; `yanked` is the reason ("" if none is given), or None.

    `digest` is what the page says, an algorithm and any text: `listed_digest` checks it.
    `page` is the URL of the page that names the file, which decides what `url` may be. `uploaded`
    is the time in ISO 8601 (PEP 700), "" if the index does not say it. `size` is in bytes, 0 if the
    page has none. `requires_python` has the versions of Python that it is for, "" for all.
    """

    name: str
    url: str
    page: str
    digest: tuple[str, str] | None = None
    yanked: str | None = None
    uploaded: str = ""
    size: int = 0
    requires_python: str = ""


def parse_json_page(body: bytes, base: str) -> tuple[ReleaseFile, ...]:
    """Return the files of a JSON page (PEP 691).

    Raises:
        FetchError: the page has another form, or too many files.
    """
    try:
        rows = parse_json(body, most_values=REGISTRY_VALUES.value)["files"]
        if len(rows) > REGISTRY_FILES.value:
            raise _too_many(REGISTRY_FILES, base)
        return tuple(file for row in rows if (file := _file_of_row(row, base)))
    except TooManyValues as error:
        raise _too_many(REGISTRY_VALUES, base) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(
            f"{redacted(base)} is not a valid page of a package index: {error!r}",
            uri=redacted(base),
        ) from error


def _too_many(limit: Limit, base: str) -> FetchError:
    return FetchError(
        f"{redacted(base)} has more than {limit.shown}, the limit {limit.name}",
        uri=redacted(base),
        hint=limit.hint,
    )


def _file_of_row(row: Mapping[str, object], base: str) -> ReleaseFile | None:
    name = str(row["filename"])
    hashes = row.get("hashes") or {}
    yanked, size = row.get("yanked") or None, row.get("size")
    url = joined(base, str(row["url"]))
    if not _is_plain(name) or not isinstance(hashes, dict) or url is None:
        return None
    return ReleaseFile(
        name=name,
        url=url,
        page=base,
        digest=_strongest({str(key).lower(): str(value or "") for key, value in hashes.items()}),
        yanked=yanked if isinstance(yanked, str) else ("" if yanked else None),
        uploaded=str(row.get("upload-time") or "")[:_LONGEST_TIME],
        size=size if type(size) is int and 0 < size < _LARGEST else 0,
        requires_python=str(row.get("requires-python") or ""),
    )


def parse_html_page(body: bytes, base: str) -> tuple[ReleaseFile, ...]:
    """Return the files of an HTML page (PEP 503).

    Raises:
        FetchError: the page has too many files.
    """
    files: list[ReleaseFile] = []
    page, has_base = base, False
    for tag, attributes in start_tags(body.decode("utf-8", errors="replace"), {"a", "base"}):
        address = attributes.get("href", "")
        if tag == "base" and address and not has_base:
            base, has_base = joined(page, address) or page, True
        elif tag == "a" and address and (file := _file_of_anchor(attributes, address, base, page)):
            files.append(file)
            if len(files) > REGISTRY_FILES.value:
                raise _too_many(REGISTRY_FILES, page)
    return tuple(files)


def _file_of_anchor(
    attributes: Mapping[str, str], address: str, base: str, page: str
) -> ReleaseFile | None:
    url, fragment = urldefrag(joined(base, address) or "")
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if not _is_plain(name):
        return None
    hashes = (part.partition("=") for part in fragment.split("&"))
    return ReleaseFile(
        name=name,
        url=url,
        page=page,
        digest=_strongest({algorithm.lower(): digest for algorithm, _, digest in hashes}),
        yanked=attributes.get("data-yanked"),
        requires_python=attributes.get("data-requires-python") or "",
    )


def listed_digest(file: ReleaseFile) -> ExpectedDigest | None:
    """Return the digest that an index lists for a file; None if it lists none.

    Raises:
        FetchError: what it lists is no digest.
    """
    if file.digest is None:
        return None
    algorithm, digest = file.digest
    try:
        return ExpectedDigest(algorithm=algorithm, hexdigest=digest, by="the package index")
    except FetchError as error:
        error.message += f"\n  the file is {file.name}\n  the page is {redacted(file.page)}"
        error.args = (error.message,)
        raise


def _strongest(hashes: Mapping[str, str]) -> tuple[str, str] | None:
    for algorithm in _ALGORITHMS:
        if hashes.get(algorithm) and algorithm in hashlib.algorithms_available:
            return algorithm, hashes[algorithm].lower()
    return None


def _is_plain(name: str) -> bool:
    """Return whether a name from an index is a plain file name, without a folder."""
    return (
        name not in {"", ".", ".."}
        and name.isprintable()  # half a character of UTF-16 is not, either
        and len(name.encode()) <= _LONGEST_NAME
        and not any(sign in name for sign in "/\\")
    )
