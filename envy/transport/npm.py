"""Release files of npm packages, from the registry that the user's npm is configured for.

Owns finding the tarball of one exact version and its integrity. Resolves no dependencies and runs
no scripts.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from envy.content.json_text import TooManyValues, parse_json
from envy.declarations.sources import SourceItem, file_name
from envy.errors import FetchError
from envy.limits import REGISTRY_VALUES, shortened
from envy.suggest import nearest
from envy.transport.addresses import check_named, origin_of, redacted
from envy.transport.context import FetchContext, Fetched, NotFound
from envy.transport.digests import ExpectedDigest, wanted_digests
from envy.transport.http import download, read_page
from envy.transport.npm_configuration import NpmConfiguration, npm_configuration
from envy.transport.target import target_in

# The short form of a package's document, without readmes.
_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha1")


def fetch_npm(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download the tarball of one version of a package."""
    name, version = _parts_of(item)
    configuration = npm_configuration(name, item.base_dir, context)
    release = _release_of(item, name, version, configuration, context)
    if release.get("deprecated"):
        reason = shortened(str(release["deprecated"]))
        context.warn(f"{item.source} is deprecated by its authors: {reason}")
    dist = _dist_of(release, item, configuration)
    base = name.rpartition("/")[2]
    target = target_in(into, file_name(item) or _tarball_name(item))
    expected = [*wanted_digests(item, context), *_integrity_of(dist)]
    check_named(str(dist["tarball"]), by=configuration.registry, is_pinned=bool(expected))
    tarballs = _urls_of(
        str(dist["tarball"]), f"{name}/-/{base}-{version}.tgz", configuration.registry
    )
    for number, url in enumerate(tarballs, 1):
        try:
            return download(
                url,
                target,
                context.reporting_as(item.source),
                expected=expected,
                headers=_authorized(configuration, url),
                certificates=configuration.certificates,
                executable=item.executable,
            )
        except FetchError:
            if number == len(tarballs):
                raise
    raise _unusable(configuration.registry, item, "it names no tarball")


def release_tarball(item: SourceItem, context: FetchContext) -> tuple[str, str]:
    """Return the file name of a release, and the digest that the registry gives for it, or "".

    The digest is `ALGORITHM:HEXDIGITS`. Nothing is downloaded.
    """
    name, version = _parts_of(item)
    configuration = npm_configuration(name, item.base_dir, context)
    release = _release_of(item, name, version, configuration, context)
    digests = _integrity_of(_dist_of(release, item, configuration))
    digest = "".join(f"{each.algorithm}:{each.hexdigest}" for each in digests)
    return _tarball_name(item), digest


def _parts_of(item: SourceItem) -> tuple[str, str]:
    name, _, version = item.source.removeprefix("npm:").rpartition("@")
    return name, version


def _tarball_name(item: SourceItem) -> str:
    name, version = _parts_of(item)
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def _dist_of(
    release: Mapping[str, object], item: SourceItem, configuration: NpmConfiguration
) -> Mapping[str, object]:
    dist = release.get("dist")
    if not isinstance(dist, dict) or not isinstance(dist.get("tarball"), str):
        raise _unusable(configuration.registry, item, "it names no tarball")
    return dist


def _urls_of(tarball: str, path: str, registry: str) -> list[str]:
    """Return the URLs to request a tarball from, in order.

    A mirror often repeats the address of the registry that it mirrors, which may be out of reach;
    so another host comes only after the configured one. The integrity verifies both.
    """
    if origin_of(tarball) == origin_of(registry):
        return [tarball]
    return [registry + path, tarball]


def _release_of(
    item: SourceItem,
    name: str,
    version: str,
    configuration: NpmConfiguration,
    context: FetchContext,
) -> Mapping[str, object]:
    registry = configuration.registry
    versions = context.memo.once(
        ("npm", registry, name), lambda: _versions_of(item, name, configuration, context)
    )
    release = versions.get(version)
    if isinstance(release, dict):
        return release
    near = nearest(version, versions)
    newest = ", ".join(list(versions)[-5:])
    raise FetchError(
        f"{redacted(registry)} has no version {version} of {name}",
        uri=item.source,
        hint=(f"did you mean {near}? " if near else "")
        + (f"the last versions that it lists: {newest}" if newest else "it lists no version"),
    )


def _versions_of(
    item: SourceItem, name: str, configuration: NpmConfiguration, context: FetchContext
) -> Mapping[str, object]:
    address = configuration.registry + name.replace("/", "%2F")
    try:
        body, _, _ = read_page(
            address,
            context,
            headers={"accept": _ACCEPT, **_authorized(configuration, address)},
            certificates=configuration.certificates,
        )
    except NotFound as error:
        raise FetchError(
            f"{redacted(configuration.registry)} has no package {name}",
            uri=item.source,
            hint="check its spelling, and the registry that npm is configured for",
        ) from error
    try:
        versions = parse_json(body, most_values=REGISTRY_VALUES.value)["versions"]
    except TooManyValues as error:
        raise _unusable(
            configuration.registry,
            item,
            f"it has more than {REGISTRY_VALUES.shown}, the limit {REGISTRY_VALUES.name}",
            hint=REGISTRY_VALUES.hint,
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(configuration.registry, item, "it is not JSON with versions") from error
    if not isinstance(versions, dict):
        raise _unusable(configuration.registry, item, "its versions are not an object")
    return versions


def _authorized(configuration: NpmConfiguration, url: str) -> dict[str, str]:
    is_downgrade = urlsplit(url).scheme == "http" != urlsplit(configuration.registry).scheme
    if urlsplit(url).username or is_downgrade:
        return {}
    header = configuration.authorization(url)
    return {"authorization": header} if header else {}


def _integrity_of(dist: Mapping[str, object]) -> list[ExpectedDigest]:
    """Return the strongest digest that a registry lists for a tarball, if any."""
    given: dict[str, str] = {}
    for entry in str(dist.get("integrity") or "").split():
        algorithm, _, encoded = entry.partition("?")[0].partition("-")
        try:
            given.setdefault(algorithm, base64.b64decode(encoded, validate=True).hex())
        except ValueError:  # not base64, or not even ASCII
            continue
    if dist.get("shasum"):
        given.setdefault("sha1", str(dist["shasum"]).lower())
    strongest = next((algorithm for algorithm in _ALGORITHMS if algorithm in given), None)
    if strongest is None:
        return []
    return [ExpectedDigest(algorithm=strongest, hexdigest=given[strongest], by="the npm registry")]


def _unusable(registry: str, item: SourceItem, reason: str, *, hint: str = "") -> FetchError:
    return FetchError(
        f"the answer of {redacted(registry)} for {item.source} cannot be used: {reason}",
        uri=item.source,
        hint=hint,
    )
