"""Blobs of OCI registries: `oci:HOST/REPOSITORY@sha256:DIGEST`, by the protocol of registries, v2.

A blob is a download like any other, once the registry has given a token for its repository. Owns
how a registry is asked, and what its errors mean.
"""

import json
from dataclasses import replace
from pathlib import Path

from envy.content.json_text import parse_json
from envy.declarations.request_headers import AUTHORIZATION
from envy.declarations.source_forms import oci_parts
from envy.declarations.sources import SourceItem, file_name
from envy.errors import FetchError
from envy.limits import REGISTRY_VALUES
from envy.transport.addresses import origin_of
from envy.transport.context import Answered, FetchContext, Fetched, NotFound
from envy.transport.digests import Hasher, wanted_digests
from envy.transport.http import download, read_page
from envy.transport.oci_token import HOW_TO_GIVE, registry_authorization
from envy.transport.request import Request
from envy.transport.streaming import stream
from envy.transport.target import target_in

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_HERE = ("localhost", "127.0.0.1", "[::1]")
_MOST_SHOWN = 10


def fetch_oci(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download one blob.

    Raises:
        FetchError: the registry does not have it, or requires credentials.
    """
    parts = oci_parts(item.source)
    assert parts is not None, "the form was checked"
    host, repository, algorithm, digits = parts
    registry = registry_address(host, repository)
    digest = f"{algorithm}:{digits}"

    def transfer(request: Request, part: Path, context: FetchContext, name: str) -> Hasher:
        blob = f"{registry}/blobs/{digest}"
        # Messages name the source, and the registry's own words are read.
        request = replace(request, sign=lambda _: blob)
        return _transfer(request, part, context, name, registry=registry, digest=digest)

    return download(
        item.source,
        target_in(into, file_name(item)),
        context,
        item=item,
        expected=wanted_digests(item, context),
        transfer=transfer,
    )


def _transfer(
    request: Request,
    part: Path,
    context: FetchContext,
    name: str,
    *,
    registry: str,
    digest: str,
) -> Hasher:
    tokens = context.memo.once(("oci tokens",), dict[str, str])
    given = dict(request.headers)
    asked = False
    while True:
        headers = dict(given)
        if AUTHORIZATION not in given and registry in tokens:
            headers[AUTHORIZATION] = tokens[registry]
        try:
            return stream(replace(request, headers=headers), part, context, name)
        except Answered as error:
            is_own = error.origin == origin_of(registry)  # its storage must not ask for a token
            if error.status == 401 and is_own and not asked and AUTHORIZATION not in given:
                asked = True  # there was no token, or it has expired
                challenge = error.headers.get("www-authenticate", "")
                found = registry_authorization(challenge, registry, request.uri, context)
                if found and found != headers.get(AUTHORIZATION):
                    tokens[registry] = found
                    continue
            raise _explained(
                error, request, headers, context, f"{registry}/manifests/{digest}"
            ) from (error)


def _explained(
    error: Answered,
    request: Request,
    headers: dict[str, str],
    context: FetchContext,
    manifest: str,
) -> FetchError:
    """Return the error of a registry with what it means here."""
    uri, status = request.uri, error.status
    if status == 404:
        layers = _layers_of(manifest, headers, context)
        if layers:
            return NotFound(
                f"{uri} is a manifest, and a source is a blob; it lists {', '.join(layers)}",
                uri=uri,
                hint="name the digest of one of them",
            )
        return NotFound(
            f"{uri} does not exist: its registry has no such blob, or shows none without other "
            "credentials (HTTP 404)",
            uri=uri,
            hint=f"check host, repository and digest; {HOW_TO_GIVE}",
        )
    if status in {401, 403}:
        has_sent = AUTHORIZATION in headers
        verb = "does not accept the credentials for" if has_sent else "requires credentials for"
        return FetchError(f"the registry {verb} {uri} (HTTP {status})", uri=uri, hint=HOW_TO_GIVE)
    return error


def _layers_of(manifest: str, headers: dict[str, str], context: FetchContext) -> list[str]:
    """Return the digests that a manifest lists, with their titles; none if there is no manifest."""
    try:
        body, _, _ = read_page(manifest, context, headers={**headers, "accept": _MANIFESTS})
        document = parse_json(body, most_values=REGISTRY_VALUES.value)
    except (FetchError, ValueError):
        return []
    found = []
    for field in ("layers", "manifests"):
        listed = document.get(field) if isinstance(document, dict) else None
        for row in listed if isinstance(listed, list) else ():
            if isinstance(row, dict) and isinstance(row.get("digest"), str):
                notes = row.get("annotations")
                title = (
                    notes.get("org.opencontainers.image.title") if isinstance(notes, dict) else ""
                )
                shown = f" ({json.dumps(title)})" if isinstance(title, str) and title else ""
                found.append(f"{json.dumps(row['digest'])[1:-1][:200]}{shown[:200]}")
    more = [f"and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return [*found[:_MOST_SHOWN], *more]


def registry_address(host: str, repository: str) -> str:
    """Return the address of a repository; a registry on this machine needs no certificate."""
    return f"{'http' if _is_here(host) else 'https'}://{host}/v2/{repository}"


def _is_here(host: str) -> bool:
    return host.removesuffix(f":{host.rpartition(':')[2]}") in _HERE or host in _HERE
