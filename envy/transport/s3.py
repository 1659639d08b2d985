"""Sources in object stores that speak the protocol of S3: `s3://BUCKET/KEY`.

The library `obstore` signs the address of each request, without a connection of its own; it is then
requested like any other, with the same proxies, certificates, limits, ranges and digests. Owns the
region of a bucket, and what the errors of such a store mean.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from envy.declarations.sources import SourceItem, file_name
from envy.errors import FetchError
from envy.extras import missing_extra
from envy.transport.aws_settings import HOW_TO_GIVE, AwsAccess, aws_access
from envy.transport.context import Answered, FetchContext, Fetched, NotFound
from envy.transport.digests import Hasher, wanted_digests
from envy.transport.http import download
from envy.transport.request import Request
from envy.transport.streaming import stream
from envy.transport.target import target_in

if TYPE_CHECKING:
    from obstore.store import S3Credential, S3Store

_Sign = Callable[[str], str]
_Answer = TypeVar("_Answer")
SignedMethod = Literal["GET", "HEAD", "PUT", "DELETE"]

_VALID = timedelta(minutes=15)  # each request is signed anew
_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
_REGION = re.compile(rb"<Region>([a-z0-9-]{1,64})</Region>")
_WRONG_CREDENTIALS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)
_NO_OBJECT = frozenset({"NoSuchKey", "NoSuchBucket"})


def fetch_s3(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download one object.

    Raises:
        FetchError: it cannot be downloaded, or has another digest than expected;
            UsageError: the library that signs requests is not installed.
    """

    def transfer(request: Request, part: Path, context: FetchContext, name: str) -> Hasher:
        return transfer_object(request, part, context, name, aws_access(item, context))

    return download(
        item.source,
        target_in(into, file_name(item)),
        context,
        item=replace(item, headers=()),  # `auth` is no header here
        expected=wanted_digests(item, context),
        transfer=transfer,
    )


def transfer_object(
    request: Request, part: Path, context: FetchContext, name: str, access: AwsAccess
) -> Hasher:
    """Download an object to `part`; the region of its bucket is found and remembered.

    Raises:
        FetchError: it cannot be downloaded; UsageError: the library that signs is missing.
    """
    bucket = request.url.split("/")[2]
    return in_region(
        bucket,
        access,
        context,
        lambda sign: stream(replace(request, sign=sign), part, context, name),
    )


def in_region(
    bucket: str, access: AwsAccess, context: FetchContext, ask: Callable[[_Sign], _Answer]
) -> _Answer:
    """Return what `ask` returns, which is called with what signs addresses of GET requests.

    If the store names the region of the bucket, that is remembered, and `ask` called once more.

    Raises:
        What `ask` raises, explained; UsageError: the library that signs is missing.
    """
    regions = _regions(access, context)
    region = regions.get(bucket, access.region)
    tried: set[str] = set()
    while True:
        tried.add(region)
        try:
            return ask(signer(bucket, replace(access, region=region)))
        except Answered as error:
            right = _region_of(error)
            if not error.status:
                raise
            if not right or right in tried:
                raise _explained(error, access) from error
            regions[bucket] = region = right


def known_region(bucket: str, access: AwsAccess, context: FetchContext) -> str:
    """Return the region of a bucket: what its store has named before, or that of the settings."""
    return _regions(access, context).get(bucket, access.region)


def _regions(access: AwsAccess, context: FetchContext) -> dict[str, str]:
    """Return the regions that a store has named in this run, by bucket."""
    return context.memo.once(("s3 regions", access.endpoint), dict[str, str])


def signer(bucket: str, access: AwsAccess, *, method: SignedMethod = "GET") -> Callable[[str], str]:
    """Return what makes the address of a request for an object; anonymous ones are not signed.

    Raises:
        UsageError: the library that signs is not installed.
    """
    try:
        import obstore
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise missing_extra("a source s3://BUCKET/KEY", "the library obstore", "s3") from error

    def sign(url: str) -> str:
        try:
            store = opened_store(bucket, access)
            signed: str = obstore.sign(store, method, url.split("/", 3)[3], _VALID)
        except (BaseError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise FetchError(f"{url} cannot be requested: {reason}", uri=url) from error
        return signed if access.key_id else signed.partition("?")[0]

    return sign


def opened_store(bucket: str, access: AwsAccess) -> "S3Store":
    """Return a bucket for obstore.

    Raises:
        UsageError: the library is not installed; obstore.exceptions.BaseError: a value is invalid.
    """
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise missing_extra("a source s3://BUCKET/KEY", "the library obstore", "s3") from error

    def credential() -> "S3Credential":
        return {
            "access_key_id": access.key_id or "anonymous",
            "secret_access_key": access.secret or "anonymous",
            "token": access.session_token or None,
            "expires_at": None,
        }

    # Whatever is not named here would be taken from variables, or asked for elsewhere.
    return S3Store(
        bucket,
        credential_provider=credential,
        endpoint=access.endpoint or _service_in(access.region),
        region=access.region,
        s3_express=False,
        virtual_hosted_style_request=False,
        client_options={"allow_http": access.endpoint.startswith("http:")},
    )


def _service_in(region: str) -> str:
    """Return the endpoint of the service itself."""
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _region_of(error: Answered) -> str:
    """Return the region of the bucket, as its store says; "" if it does not."""
    named = error.headers.get("x-amz-bucket-region", "")
    found = _REGION.search(error.said)
    if re.fullmatch(r"[a-z0-9-]{1,64}", named):
        return named
    return found[1].decode() if found else ""


def _explained(error: Answered, access: AwsAccess) -> Answered:
    """Return the error of a store with what it means here."""
    found = _CODE.search(error.said)
    code, status, uri = found[1].decode() if found else "", error.status, error.uri
    said = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    kind: type[Answered] = type(error)
    if code in _NO_OBJECT or (status == 404 and not code):
        kind = NotFound
        what = "bucket" if code == "NoSuchBucket" else "object"
        meaning, hint = f"does not exist: there is no such {what}", "check the bucket and the key"
    elif code == "RequestTimeTooSkewed":
        meaning = "was refused: the clock of this machine differs from that of the server"
        hint = "set the clock"
    elif code in _WRONG_CREDENTIALS and access.key_id:
        meaning = f"was refused: the credentials of {access.told} are not valid, or have expired"
        hint = HOW_TO_GIVE
    elif status in {401, 403} and access.key_id:
        meaning = f"was refused: the credentials of {access.told} may not read it"
        hint = "such a store says the same of an object that does not exist; check the key, too"
    elif status in {401, 403}:
        meaning, hint = f"requires credentials: {access.told}", HOW_TO_GIVE
    elif status in {301, 400}:
        meaning = f"was refused; its bucket may be in another region than {access.region}"
        hint = "set AWS_REGION to the region of the bucket, and AWS_ENDPOINT_URL to its store"
    else:
        return error
    explained = kind(f"{uri} {meaning} ({said})", uri=uri, hint=hint)
    explained.status = status
    return explained
