"""Tarballs of npm packages: where each is requested, with which credentials and integrity."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport.addresses import check_named, origin_of
from envy.transport.context import FetchContext, Fetched
from envy.transport.digests import ExpectedDigest
from envy.transport.http import download
from envy.transport.npm_configuration import NpmConfiguration

_ALGORITHMS = ("sha512", "sha384", "sha256", "sha1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarball:
    """The tarball of a release; `address` is where a document says that it is, or ""."""

    name: str
    version: str
    address: str = ""


def download_tarball(
    tarball: Tarball,
    target: Path,
    context: FetchContext,
    *,
    item: SourceItem,
    configuration: NpmConfiguration,
    expected: Sequence[ExpectedDigest],
) -> Fetched:
    """Download a tarball from the configured registry, or else from the address that it has.

    Raises:
        FetchError: none has it, or it does not have the expected digests.
    """
    if tarball.address:
        check_named(tarball.address, by=configuration.registry, is_pinned=bool(expected))
    *others, last = _urls_of(tarball, configuration.registry)

    def attempt(url: str) -> Fetched:
        return download(
            url,
            target,
            context,
            item=item,
            expected=expected,
            headers=authorized(configuration, url),
            certificates=configuration.certificates,
        )

    for url in others:
        try:
            return attempt(url)
        except FetchError:
            continue
    return attempt(last)


def _urls_of(tarball: Tarball, registry: str) -> list[str]:
    """Return the URLs to request a tarball from, in order.

    A mirror often repeats the address of the registry that it mirrors, which may be out of reach;
    so another host comes only after the configured one. The integrity verifies both.
    """
    if tarball.address and origin_of(tarball.address) == origin_of(registry):
        return [tarball.address]
    base = tarball.name.rpartition("/")[2]
    usual = f"{registry}{tarball.name}/-/{base}-{tarball.version}.tgz"
    return [usual, tarball.address] if tarball.address else [usual]


def authorized(configuration: NpmConfiguration, url: str) -> dict[str, str]:
    """Return the headers that authorize a request to a URL, if the settings have any."""
    is_downgrade = urlsplit(url).scheme == "http" != urlsplit(configuration.registry).scheme
    if urlsplit(url).username or is_downgrade:
        return {}
    header = configuration.authorization(url)
    return {"authorization": header} if header else {}


def integrity_of(
    dist: Mapping[str, object], package: str, *, by: str = "the npm registry"
) -> list[ExpectedDigest]:
    """Return the strongest digest that a document lists for the tarball of a package, if any.

    Raises:
        FetchError: that is no digest.
    """
    given: dict[str, str] = {}
    for entry in str(dist.get("integrity") or "").split():
        algorithm, _, encoded = entry.partition("?")[0].partition("-")
        try:
            given.setdefault(algorithm, base64.b64decode(encoded, validate=True).hex())
        except ValueError:  # not base64, or not even ASCII
            given.setdefault(algorithm, encoded)
    if dist.get("shasum"):
        given.setdefault("sha1", str(dist["shasum"]).lower())
    strongest = next((algorithm for algorithm in _ALGORITHMS if algorithm in given), None)
    if strongest is None:
        return []
    try:
        return [ExpectedDigest(algorithm=strongest, hexdigest=given[strongest], by=by)]
    except FetchError as error:
        error.message += f"\n  the package is {package}"
        error.args = (error.message,)
        raise
