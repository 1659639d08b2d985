"""Release files of npm packages, from the registry that the user's npm is configured for.

Owns finding the tarball of one exact version and its integrity. Resolves no dependencies and runs
no scripts.
"""

from collections.abc import Mapping
from pathlib import Path

from envy.content.json_text import TooManyValues, parse_json
from envy.declarations.sources import SourceItem, file_name
from envy.declarations.versions import nearest_versions
from envy.errors import FetchError
from envy.limits import REGISTRY_VALUES, shortened
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, Fetched, NotFound
from envy.transport.digests import wanted_digests
from envy.transport.http import read_page
from envy.transport.known import remember_known, take_known
from envy.transport.npm_configuration import NpmConfiguration, npm_configuration
from envy.transport.npm_tarball import Tarball, authorized, download_tarball, integrity_of
from envy.transport.target import target_in

# The short form of a package's document, without readmes.
_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
_ACCEPT_WHOLE = "application/json"
_LONGEST_TIME = 40
_NO_VERSIONS = "it is not JSON with versions"


def fetch_npm(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download the tarball of one version of a package, unless it is kept.

    With `shrinkwrap`, it becomes a folder that also has the packages which the release pins.
    """
    name, version = _parts_of(item)
    plain = _tarball_name(item)
    if item.shrinkwrap:
        from envy.transport.npm_tree import fetch_tree

        target = target_in(into, file_name(item) or plain.removesuffix(".tgz"))
        return fetch_tree(item, target, context, fetch_tarball=fetch_npm)
    found = take_known(item, into, context, name=plain)
    if found is not None:
        return found
    context.check_online(item.source)  # before npm is asked for its registry, which takes long
    configuration = npm_configuration(name, item.base_dir, context)
    release = _release_of(item, name, version, configuration, context)
    if release.get("deprecated"):
        reason = shortened(str(release["deprecated"]))
        context.warn(f"{item.source} is deprecated by its authors: {reason}")
    dist = _dist_of(release, item, configuration)
    target = target_in(into, file_name(item) or plain)
    expected = [*wanted_digests(item, context), *integrity_of(dist, item.source)]
    fetched = download_tarball(
        Tarball(name=name, version=version, address=str(dist["tarball"])),
        target,
        context.reporting_as(item.source),
        item=item,
        configuration=configuration,
        expected=expected,
    )
    remember_known(item, fetched, context, name=plain)
    return fetched


def releases_of(item: SourceItem, context: FetchContext) -> dict[str, str]:
    """Return the versions of a source's package, each with the time of its release.

    Deprecated ones are left out. The time is in ISO 8601, "" if the registry does not say it.
    """
    name = _parts_of(item)[0]
    configuration = npm_configuration(name, item.base_dir, context)
    document = _document_of(item, name, configuration, context, accept=_ACCEPT_WHOLE)
    times = document.get("time")
    times = times if isinstance(times, dict) else {}
    return {
        str(version): str(times.get(version) or "")[:_LONGEST_TIME]
        for version, release in _versions_in(document, item, configuration).items()
        if isinstance(release, dict) and not release.get("deprecated")
    }


def release_tarball(item: SourceItem, context: FetchContext) -> tuple[str, str]:
    """Return the file name of a release, and the digest that the registry gives for it, or "".

    The digest is `ALGORITHM:HEXDIGITS`. Nothing is downloaded.
    """
    name, version = _parts_of(item)
    configuration = npm_configuration(name, item.base_dir, context)
    release = _release_of(item, name, version, configuration, context)
    digests = integrity_of(_dist_of(release, item, configuration), item.source)
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
    near = ", ".join(nearest_versions(version, versions))
    raise FetchError(
        f"{redacted(registry)} has no version {version} of {name}",
        uri=item.source,
        hint=f"the nearest versions: {near}" if near else "it lists no version",
    )


def _versions_of(
    item: SourceItem, name: str, configuration: NpmConfiguration, context: FetchContext
) -> Mapping[str, object]:
    document = _document_of(item, name, configuration, context, accept=_ACCEPT)
    return _versions_in(document, item, configuration)


def _document_of(
    item: SourceItem,
    name: str,
    configuration: NpmConfiguration,
    context: FetchContext,
    *,
    accept: str,
) -> Mapping[str, object]:
    """Return the document of a package in the registry."""
    address = configuration.registry + name.replace("/", "%2F")
    try:
        body, _, _ = read_page(
            address,
            context,
            headers={"accept": accept, **authorized(configuration, address)},
            certificates=configuration.certificates,
        )
    except NotFound as error:
        raise FetchError(
            f"{redacted(configuration.registry)} has no package {name}",
            uri=item.source,
            hint="check its spelling, and the registry that npm is configured for",
        ) from error
    try:
        document = parse_json(body, most_values=REGISTRY_VALUES.value)
    except TooManyValues as error:
        raise _unusable(
            configuration.registry,
            item,
            f"it has more than {REGISTRY_VALUES.shown}, the limit {REGISTRY_VALUES.name}",
            hint=REGISTRY_VALUES.hint,
        ) from error
    except ValueError as error:
        raise _unusable(configuration.registry, item, _NO_VERSIONS) from error
    if not isinstance(document, dict):
        raise _unusable(configuration.registry, item, _NO_VERSIONS)
    return document


def _versions_in(
    document: Mapping[str, object], item: SourceItem, configuration: NpmConfiguration
) -> Mapping[str, object]:
    if "versions" not in document:
        raise _unusable(configuration.registry, item, _NO_VERSIONS)
    versions = document["versions"]
    if not isinstance(versions, dict):
        raise _unusable(configuration.registry, item, "its versions are not an object")
    return versions


def _unusable(registry: str, item: SourceItem, reason: str, *, hint: str = "") -> FetchError:
    return FetchError(
        f"the answer of {redacted(registry)} for {item.source} cannot be used: {reason}",
        uri=item.source,
        hint=hint,
    )
