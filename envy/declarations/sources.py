"""Sources as data: the forms that `source` and `fetch` may have.

Owns the supported schemes and the strict parsing of source tables. Opens neither files nor
connections; the schemes are implemented in `envy.transport`.
"""

import os.path
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import compress
from pathlib import Path
from typing import cast

from envy.declarations import fields
from envy.declarations.file_names import check_file_names
from envy.declarations.mirrors import own_mirrors
from envy.declarations.request_headers import RequestHeader, parse_headers
from envy.declarations.signature import Signature, parse_signature
from envy.declarations.source_digests import (
    CHECKSUM_FIELDS,
    DIGEST_LENGTHS,
    checksum_address,
    digest,
)
from envy.declarations.source_forms import missing_form, oci_parts
from envy.errors import DeclarationError, SourceLocation
from envy.masking import remember_address


class Scheme(Enum):
    """How a source is fetched."""

    LOCAL = "local"
    FILE = "file"
    HTTP = "http"
    GIT = "git"
    S3 = "s3"
    OCI = "oci"
    PYPI = "pypi"
    NPM = "npm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """One source to fetch, as written.

    A relative path starts from `base_dir`, the folder of the file that names the source. `extract`
    is None for the default, which is to unpack archives. `executable` may be patterns of files of
    an archive.
    """

    source: str
    sha256: str = ""
    blake3: str = ""
    sha512: str = ""
    sha256sums: str = ""
    sha512sums: str = ""
    ref: str = ""
    dest: str = ""
    executable: bool | tuple[str, ...] = False
    extract: bool | None = None
    strip: int = 0
    subdir: str = ""
    into: str = ""
    overlay: bool = False
    python: str = ""
    kind: str = "wheel"
    shrinkwrap: bool = False
    mirrors: tuple[str, ...] = ()
    headers: tuple[RequestHeader, ...] = ()
    profile: str = ""
    submodules: bool = False
    lfs: bool = False
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: bool = False
    vcs: bool = False
    signature: Signature | None = None
    origin: SourceLocation | None = field(default=None, compare=False)
    base_dir: Path

    @property
    def is_executable(self) -> bool:
        """Whether the file itself becomes executable."""
        return self.executable is True

    @property
    def has_digest(self) -> bool:
        """Whether the digest of its content is declared."""
        return bool(self.sha256 or self.blake3 or self.sha512)


SUPPORTED = (
    "a local path, file:, http:, https:, git (*.git, git:, git+ssh:, …), s3:, oci:, pypi:, npm:"
)
# One file each, which only a digest pins.
BY_ADDRESS = frozenset({Scheme.HTTP, Scheme.S3, Scheme.OCI})
FIELDS = frozenset({*SourceItem.__dataclass_fields__, "auth"}) - {"origin", "base_dir"}
FOLDER_FIELDS = ("follow", "vcs")
SELECTION_FIELDS = ("only", "exclude")
_ALL, _FILES = frozenset(Scheme), BY_ADDRESS - {Scheme.OCI}
# The schemes for which a field means something, and what a message calls their sources.
_BELONGS: Mapping[str, tuple[Set[Scheme], str]] = {
    **dict.fromkeys(("ref", "submodules", "lfs"), ({Scheme.GIT}, "git sources")),
    **dict.fromkeys(("python", "kind"), ({Scheme.PYPI}, "pypi: sources")),
    **dict.fromkeys(("mirrors", "headers"), ({Scheme.HTTP}, "http: and https: sources")),
    "auth": (BY_ADDRESS, "http:, https:, s3: and oci: sources"),
    **dict.fromkeys(CHECKSUM_FIELDS, (_FILES, "http:, https: and s3: sources")),
    "profile": ({Scheme.S3}, "s3: sources"),
    "shrinkwrap": ({Scheme.NPM}, "npm: sources"),
    **dict.fromkeys(FOLDER_FIELDS, ({Scheme.LOCAL, Scheme.FILE}, "folders of this machine")),
    **dict.fromkeys(
        SELECTION_FIELDS, (_ALL - {Scheme.GIT}, "archives and for folders of this machine")
    ),
    "signature": (_FILES | {Scheme.LOCAL, Scheme.FILE}, "files with an address of their own"),
    **dict.fromkeys(
        DIGEST_LENGTHS,
        (_ALL - {Scheme.GIT}, "files; a git source is pinned by the commit in `ref`"),
    ),
}

# One letter before the colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_SCP_FORM = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_SCHEMES = {
    "file": Scheme.FILE,
    "http": Scheme.HTTP,
    "https": Scheme.HTTP,
    "git": Scheme.GIT,
    "ssh": Scheme.GIT,
    "s3": Scheme.S3,
    "oci": Scheme.OCI,
    "pypi": Scheme.PYPI,
    "npm": Scheme.NPM,
}


def scheme_of(source: str, *, origin: SourceLocation | None = None) -> Scheme:
    """Return the scheme of a source.

    Raises:
        DeclarationError: envy does not support the scheme.
    """
    is_repository = source.endswith((".git", ".git/"))
    if ":" not in source and not is_repository:
        return Scheme.LOCAL
    found = _SCHEME.match(source)
    if found is None:
        if _SCP_FORM.match(source):
            return Scheme.GIT
        return Scheme.GIT if is_repository else Scheme.LOCAL
    name = found[1].lower()
    scheme = Scheme.GIT if name.startswith("git+") else _SCHEMES.get(name)
    if scheme is None:
        raise DeclarationError(
            f'envy does not support "{name}:", the scheme of {source}',
            origin=origin,
            hint=f"sources are {SUPPORTED}",
        )
    return Scheme.GIT if is_repository and scheme in {Scheme.FILE, Scheme.HTTP} else scheme


def is_full_hash(ref: str) -> bool:
    """Return whether the ref of a git source is the full hash of a commit."""
    return _COMMIT.fullmatch(ref) is not None


def local_path(item: SourceItem) -> Path:
    """Return the absolute path of a local or `file:` source."""
    return Path(local_name(item))


def local_name(item: SourceItem) -> str:
    """Return the absolute path as text: thousands of sources are compared, and few opened."""
    source = item.source
    if source[:5].lower() == "file:":
        from urllib.parse import unquote

        source = unquote(source[5:])
        if source.startswith("//"):
            # file://localhost/x and file:///x are both /x.
            source = source[2:].removeprefix("localhost")
    # normpath: the same path always has the same text, relative to any folder.
    return os.path.normpath(os.path.join(str(item.base_dir), source))  # noqa: PTH118


def git_address(item: SourceItem) -> str:
    """Return the address of a git source that is passed to the git program."""
    source = item.source.removeprefix("git+")
    if source.startswith("git:") and not source.startswith("git://"):
        source = source[4:]
    if _SCHEME.match(source) or _SCP_FORM.match(source):
        return source
    return str(local_path(replace(item, source=source)))


def location(item: SourceItem) -> str:
    """Return one text for a source and its pins; the same text means the same source."""
    scheme = scheme_of(item.source)
    if scheme in {Scheme.LOCAL, Scheme.FILE}:
        address = local_name(item)
    else:
        address = git_address(item) if scheme is Scheme.GIT else item.source
    parts = ["submodules" if item.submodules else "", "lfs" if item.lfs else ""]
    parts += [item.signature.pin] if item.signature else []
    parts += [f"{name}:{sums}" for name in CHECKSUM_FIELDS if (sums := getattr(item, name))]
    pins = (item.ref, item.subdir, item.sha256, item.blake3, item.sha512, *parts)
    return " ".join([address, *(pin for pin in pins if pin)])


def last_part(item: SourceItem, scheme: Scheme) -> str:
    """Return the last part of a path or an address; "" if there is none."""
    if scheme is Scheme.LOCAL:
        return local_path(item).name
    if scheme is Scheme.S3:
        return item.source.rpartition("/")[2]  # keys are written as they are
    if scheme is Scheme.OCI:
        return re.split(r"[:@]", item.source.rpartition("/")[2], maxsplit=1)[0]
    from urllib.parse import unquote

    path = item.source.partition("#")[0].partition("?")[0].rstrip("/")
    has_path = scheme is not Scheme.HTTP or path.count("/") > 2
    return unquote(path.rpartition("/")[2].rpartition(":")[2]) if has_path else ""


def file_name(item: SourceItem) -> str:
    """Return the name of an item in fetch_dir; "" if the registry decides it.

    Raises:
        DeclarationError: the source does not end in a file name.
    """
    if item.dest:
        return item.dest
    scheme = scheme_of(item.source, origin=item.origin)
    if scheme in {Scheme.PYPI, Scheme.NPM}:
        return ""
    name = last_part(item, scheme)
    name = name.removesuffix(".git") if scheme is Scheme.GIT else name
    # Decoding may have added characters that a name must not contain.
    if name in {"", ".", ".."} or re.search(r"[/\\\x00-\x1f\x7f]", name):
        raise DeclarationError(
            f"{item.source} does not end in a file name",
            origin=item.origin,
            hint='give it one: dest = "NAME"',
        )
    return name


def parse_source_items(
    value: object, *, origin: SourceLocation | None, base_dir: Path
) -> tuple[SourceItem, ...]:
    """Return the items of a string, a table, or an array of these.

    Raises:
        DeclarationError: a field, type or scheme is invalid, or two items have one file name.
    """
    elements = value if isinstance(value, list) else [value]
    items = [
        parse_source_item(
            element,
            origin=fields.element_origin(origin, i) if elements is value else origin,
            base_dir=base_dir,
        )
        for i, element in enumerate(elements)
    ]
    names = [file_name(item) for item in items]
    if len(items) > 1:
        _name_apart(items, names)
        own = [not item.dest and scheme_of(item.source) is Scheme.GIT for item in items]
        check_file_names(items, names, repositories=[*compress(names, own)])
    return tuple(items)


def _name_apart(items: list[SourceItem], names: list[str]) -> None:
    """Give a `dest` to repositories whose name another item has, if they have `into`."""
    taken: set[str] = set()
    # Those without `into` keep their names, wherever they are in the list.
    for index in sorted(range(len(items)), key=lambda index: bool(items[index].into)):
        item, name = items[index], names[index]
        if name in taken and item.into and not item.dest and scheme_of(item.source) is Scheme.GIT:
            free = (f"{name}-{number}" for number in range(2, len(names) + 2))
            name = names[index] = next(other for other in free if other not in names)
            items[index] = replace(item, dest=name)
        taken.add(name)


def parse_source_item(
    value: object, *, origin: SourceLocation | None, base_dir: Path
) -> SourceItem:
    """Return the item of a string or a table."""
    if isinstance(value, str) and value:
        return plain_source(value, origin=origin, base_dir=base_dir)
    if not isinstance(value, dict) or not value:
        raise DeclarationError(
            f"a source must be a string or a table with `source`, not {fields.describe(value)}",
            origin=origin,
        )
    fields.check_known(value, FIELDS, what="a source", origin=origin)
    if "source" not in value:
        raise DeclarationError(
            "a source table needs the field `source`",
            origin=origin,
            hint=f"`source` is one of {SUPPORTED}",
        )
    return _item_of_table(cast("Mapping[str, object]", value), origin=origin, base_dir=base_dir)


def plain_source(source: str, *, origin: SourceLocation | None, base_dir: Path) -> SourceItem:
    """Return the item of a path or URI without other fields."""
    item = SourceItem(source=source, origin=origin, base_dir=base_dir)
    _check_form(item)
    return _with_own_digest(item)


def _item_of_table(
    table: Mapping[str, object], *, origin: SourceLocation | None, base_dir: Path
) -> SourceItem:
    item = SourceItem(
        source=fields.text(table, "source", origin=origin),
        sha256=digest(table, "sha256", origin=origin),
        blake3=digest(table, "blake3", origin=origin),
        sha512=digest(table, "sha512", origin=origin),
        sha256sums=checksum_address(table, "sha256sums", origin=origin),
        sha512sums=checksum_address(table, "sha512sums", origin=origin),
        ref=fields.text(table, "ref", origin=origin),
        dest=fields.inner_path(table, "dest", origin=origin),
        executable=fields.flag_or_patterns(table, "executable", origin=origin),
        extract=fields.flag(table, "extract", origin=origin) if "extract" in table else None,
        strip=fields.count(table, "strip", origin=origin),
        subdir=fields.inner_path(table, "subdir", origin=origin),
        into=fields.inner_path(table, "into", origin=origin),
        overlay=fields.flag(table, "overlay", origin=origin),
        python=fields.text(table, "python", origin=origin),
        kind=fields.choice(table, "kind", ("wheel", "sdist"), origin=origin),
        shrinkwrap=fields.flag(table, "shrinkwrap", origin=origin),
        mirrors=own_mirrors(table, origin=origin),
        headers=parse_headers(table, origin=origin),
        profile=fields.text(table, "profile", origin=origin),
        submodules=fields.flag(table, "submodules", origin=origin),
        lfs=fields.flag(table, "lfs", origin=origin),
        only=fields.inner_patterns(table, "only", origin=origin),
        exclude=fields.inner_patterns(table, "exclude", origin=origin),
        follow=fields.flag(table, "follow", origin=origin),
        vcs=fields.flag(table, "vcs", origin=origin),
        signature=parse_signature(table.get("signature"), origin=origin),
        origin=origin,
        base_dir=base_dir,
    )
    _check_form(item)
    _check_belongs(table, item)
    return _with_own_digest(item)


def _with_own_digest(item: SourceItem) -> SourceItem:
    """Return the item with the digest that its address has."""
    parts = oci_parts(item.source) if scheme_of(item.source) is Scheme.OCI else None
    if parts is None:
        return item
    *_, algorithm, digits = parts
    if getattr(item, algorithm) not in {"", digits}:
        raise DeclarationError(
            f"`{algorithm}` is another digest than that in {item.source}",
            origin=fields.field_origin(item.origin, algorithm),
        )
    return replace(item, sha256=digits) if algorithm == "sha256" else replace(item, sha512=digits)


def _check_form(item: SourceItem) -> None:
    if "@" in item.source:
        remember_address(item.source)  # programs may print its password alone
    try:
        scheme = scheme_of(item.source)
    except DeclarationError as error:
        error.origin = fields.field_origin(item.origin, "source")
        raise
    wanted = missing_form(scheme.value, item.source)
    if not wanted:
        return
    raise DeclarationError(
        f'"{item.source}" is not of the form {wanted}',
        origin=fields.field_origin(item.origin, "source"),
    )


def _check_belongs(table: Mapping[str, object], item: SourceItem) -> None:
    """Raise for a field that the scheme would ignore: an unchecked pin is worse than none."""
    scheme = scheme_of(item.source)
    for name in table:
        schemes, of_these = _BELONGS.get(name, (_ALL, ""))
        if scheme not in schemes:
            raise DeclarationError(
                f"`{name}` is for {of_these}, and cannot be used with {item.source}",
                origin=fields.field_origin(item.origin, name),
            )
