"""Release files of Python packages, from the index that the user's pip is configured for.

Owns reading a project's page (JSON, else HTML) and fetching one file of it. Resolves no
dependencies and installs nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.sources import SourceItem, file_name
from envy.declarations.versions import nearest_versions
from envy.errors import FetchError
from envy.host.named_platforms import name_of_platform
from envy.limits import REGISTRY_DOCUMENT, shortened
from envy.locking.lock import LockedFile, update_command
from envy.transport.addresses import check_named, redacted, with_credentials_of
from envy.transport.context import FetchContext, Fetched, NotFound
from envy.transport.digests import wanted_digests
from envy.transport.http import download, read_page
from envy.transport.index_page import (
    ReleaseFile,
    listed_digest,
    parse_html_page,
    parse_json_page,
)
from envy.transport.known import remember_known, take_known
from envy.transport.local import copy_file
from envy.transport.page_body import refuse_size
from envy.transport.pip_configuration import pip_configuration
from envy.transport.target import reusable, target_in
from envy.transport.wheel_choice import (
    WheelRequest,
    choose_sdist,
    choose_wheel,
    files_by_version,
    is_of_version,
    versions_of,
)

if TYPE_CHECKING:
    from packaging.version import Version

_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.01"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    item: SourceItem
    name: str
    version: "Version"

    @property
    def text(self) -> str:
        return f"{self.name}=={self.version}"


def fetch_pypi(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download the file of a release that fits this machine, or the one that is locked.

    A file that is kept is taken without asking the index.
    """
    wanted = _wanted_of(item)
    found = take_known(item, into, context, name="", more=(item.kind, item.python))
    if found is not None:
        return found
    if not context.environment.get("PIP_INDEX_URL"):
        # pip would take long to name its index, and that is rarely on this machine.
        context.check_online(
            item.source,
            hint="an index on this machine is used if PIP_INDEX_URL names it (file:///…)",
        )
    chosen, certificates = _find_file(wanted, context)
    return _fetch_file(wanted, chosen, into, context, certificates)


def release_file(item: SourceItem, context: FetchContext) -> ReleaseFile:
    """Return the file of a release that fits the platform of the context; download nothing.

    If the recipe declares the digest of one that fits, it is that one.

    Raises:
        FetchError: the index has none that fits.
    """
    wanted = _wanted_of(item)
    configuration = pip_configuration(context)
    for index in configuration.indexes if item.sha256 else ():
        files = files_of(index, wanted.name, context, configuration.certificates)
        declared = [file for file in files if file.digest == ("sha256", item.sha256)]
        if chosen := _choose(wanted, declared, context):
            return chosen
    return _find_file(wanted, context)[0]


def _find_file(wanted: _Wanted, context: FetchContext) -> tuple[ReleaseFile, str]:
    """Return the file to use, and the certificates of the index that lists it."""
    configuration = pip_configuration(context)
    locked = context.locked(wanted.item)
    seen: list[ReleaseFile] = []
    for index in configuration.indexes:
        files = files_of(index, wanted.name, context, configuration.certificates)
        if locked is not None and locked.name:
            files = [file for file in files if file.name == locked.name]
        chosen = _choose(wanted, files, context)
        if chosen is not None:
            return chosen, configuration.certificates
        seen += files
    if locked is not None and locked.name:
        raise _not_usable(wanted, locked, is_listed=bool(seen))
    raise _nothing_fits(wanted, configuration.indexes, seen, context)


def _not_usable(wanted: _Wanted, locked: LockedFile, *, is_listed: bool) -> FetchError:
    why = "does not fit this machine" if is_listed else "is not listed by the index any more"
    return FetchError(
        f"{locked.name}, which envy.lock has for {locked.package}, {why}: to choose another, run "
        f"{update_command(locked.package)}",
        uri=wanted.item.source,
    )


def releases_of(item: SourceItem, context: FetchContext) -> dict[str, str]:
    """Return the versions of a source's project with a file that fits this machine.

    Each has the time of its upload, "" if the index does not say it. Withdrawn ones are left out.
    """
    wanted = _wanted_of(item)
    configuration = pip_configuration(context)
    found: dict[str, str] = {}
    for index in configuration.indexes:
        files = [
            file
            for file in files_of(index, wanted.name, context, configuration.certificates)
            if file.yanked is None
        ]
        by_version = files_by_version(wanted.name, files)
        for version, own in by_version.items():
            chosen = _choose(replace(wanted, version=version), own, context)
            if chosen is not None:
                found.setdefault(str(version), chosen.uploaded)
    return found


def listed_files(name: str, context: FetchContext) -> Sequence[ReleaseFile]:
    """Return the files that all indexes of the user's pip list for a project."""
    configuration = pip_configuration(context)
    return [
        file
        for index in configuration.indexes
        for file in files_of(index, name, context, configuration.certificates)
    ]


def fetch_listed(item: SourceItem, file: ReleaseFile, into: Path, context: FetchContext) -> Fetched:
    """Download one file of a release, whichever machine it is for."""
    certificates = pip_configuration(context).certificates
    return _fetch_file(_wanted_of(item), file, into, context, certificates)


def _wanted_of(item: SourceItem) -> _Wanted:
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    name, _, version = item.source.removeprefix("pypi:").partition("==")
    try:
        return _Wanted(item=item, name=canonicalize_name(name), version=Version(version))
    except InvalidVersion as error:
        raise FetchError(
            f"{version} is not a valid version of a Python package", uri=item.source
        ) from error


def _choose(
    wanted: _Wanted, files: Sequence[ReleaseFile], context: FetchContext
) -> ReleaseFile | None:
    request = WheelRequest(
        name=wanted.name,
        version=wanted.version,
        python=wanted.item.python,
        platform=context.platform,
    )
    if wanted.item.kind == "sdist":
        return choose_sdist(request, files)
    return choose_wheel(request, files)


# --- the page of a project --------------------------------------------------------------------


def files_of(
    index: str, name: str, context: FetchContext, certificates: str
) -> Sequence[ReleaseFile]:
    """Return the files that an index lists for a project; none for an unknown project."""
    return context.memo.once(
        ("pypi", index, name), lambda: _read_files(index, name, context, certificates)
    )


def _read_files(
    index: str, name: str, context: FetchContext, certificates: str
) -> Sequence[ReleaseFile]:
    address = f"{index.rstrip('/')}/{name}/"
    if urlsplit(index).scheme == "file":
        page = Path(url2pathname(urlsplit(address).path)) / "index.html"
        if not page.is_file():
            return ()
        try:
            return parse_html_page(read_plain(str(page), REGISTRY_DOCUMENT), page.as_uri())
        except NotPlain:
            refuse_size(page.as_uri())
    try:
        body, kind, final = read_page(
            address, context, headers={"accept": _ACCEPT}, certificates=certificates
        )
    except NotFound:
        return ()
    base = with_credentials_of(address, final)
    files = parse_json_page(body, base) if "json" in kind else parse_html_page(body, base)
    return tuple(replace(file, url=with_credentials_of(address, file.url)) for file in files)


# --- the file ---------------------------------------------------------------------------------


def _fetch_file(
    wanted: _Wanted, chosen: ReleaseFile, into: Path, context: FetchContext, certificates: str
) -> Fetched:
    if chosen.yanked is not None:
        reason = f": {chosen.yanked}" if chosen.yanked else ""
        context.warn(shortened(f"pypi:{wanted.text} was withdrawn by its authors{reason}"))
    context = context.reporting_as(wanted.item.source)
    target = target_in(into, file_name(wanted.item) or chosen.name)
    expected = [*wanted_digests(wanted.item, context)]
    if listed := listed_digest(chosen):
        expected.append(listed)
    check_named(chosen.url, by=chosen.page, is_pinned=bool(expected))
    if urlsplit(chosen.url).scheme != "file":
        fetched = download(
            chosen.url,
            target,
            context,
            item=wanted.item,
            expected=expected,
            certificates=certificates,
        )
        remember_known(
            wanted.item,
            fetched,
            context,
            name=chosen.name,
            more=(wanted.item.kind, wanted.item.python),
        )
        return fetched
    source = Path(url2pathname(urlsplit(chosen.url).path))
    return reusable(target, chosen.url, expected) or copy_file(
        source, target, context, chosen.url, expected, executable=wanted.item.is_executable
    )


def _nothing_fits(
    wanted: _Wanted, indexes: Sequence[str], files: Sequence[ReleaseFile], context: FetchContext
) -> FetchError:
    where = " and ".join(redacted(index) for index in indexes)
    uri = wanted.item.source
    if not files:
        return FetchError(
            f"{where} has no package {wanted.name}",
            uri=uri,
            hint="check its spelling, and the index that pip is configured for",
        )
    of_version = sorted(file.name for file in files if is_of_version(file, wanted.version))
    if not of_version:
        near = nearest_versions(str(wanted.version), versions_of(wanted.name, files))
        return FetchError(
            f"{where} has no version {wanted.version} of {wanted.name}",
            uri=uri,
            hint=f"the nearest versions: {', '.join(near)}" if near else "",
        )
    rows = "\n".join(f"    {name}" for name in of_version)
    where = name_of_platform(context.platform) if context.platform else "this machine"
    what = "sdist" if wanted.item.kind == "sdist" else f"wheel that fits {where}"
    return FetchError(
        f"{wanted.text} has no {what}; its files are\n{rows}",
        uri=uri,
        hint=_remedy(wanted, of_version),
    )


def _remedy(wanted: _Wanted, names: Sequence[str]) -> str:
    if wanted.item.kind == "sdist":
        return "without kind, a wheel is fetched"
    pythons = sorted({found[1] for name in names if (found := re.search(r"-cp3(\d+)-cp3", name))})
    if pythons and not wanted.item.python:
        newest = max(pythons, key=int)
        return f'each wheel is for one version of Python; name yours: python = "3.{newest}"'
    if any(not name.endswith(".whl") for name in names):
        return 'kind = "sdist" fetches the source, for a build phase to build'
    return ""
