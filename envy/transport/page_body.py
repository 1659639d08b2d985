"""The body of a page or document of a registry: read whole, and decoded, within its limit."""

from io import BytesIO
from typing import TYPE_CHECKING, NoReturn

from envy.content.archive_errors import decompression_errors
from envy.content.decompression import decompressed_stream
from envy.errors import FetchError
from envy.limits import REGISTRY_DOCUMENT
from envy.transport.content_encoding import encoding_of, inflated
from envy.transport.context import FetchContext
from envy.transport.idle import Pace, idle_seconds

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 20
_KINDS = {"gzip": "gz", "zstd": "zst"}


def read_body(response: "BaseHTTPResponse", uri: str, context: FetchContext) -> bytes:
    """Return the decoded body of a response.

    Raises:
        FetchError: it is larger than its limit, encoded or decoded, or cannot be decoded.
        TooSlow: next to nothing has arrived within the idle timeout.
        Cancelled: the run was cancelled.
    """
    most = REGISTRY_DOCUMENT.value
    chunks, size = [], 0
    pace = Pace(idle_seconds(context.environment))
    while data := response.read1(_CHUNK, decode_content=False):
        context.check_cancelled()
        pace.note(len(data))
        chunks.append(data)
        size += len(data)
        if size > most:
            refuse_size(uri)
    body = b"".join(chunks)
    encoding = encoding_of(response.headers.get("content-encoding", ""))
    if not encoding or not body:
        return body
    # gzip reports damage as an OSError.
    damage: tuple[type[Exception], ...] = (OSError, *decompression_errors())
    try:
        decoded = _decoded(encoding, body, most + 1)
    except damage as error:
        raise FetchError(
            f"{uri} came with Content-Encoding {encoding}, and cannot be decoded: {error}", uri=uri
        ) from error
    if len(decoded) > most:
        refuse_size(uri)
    return decoded


def refuse_size(uri: str) -> NoReturn:
    """Raise the error for a document that is too large."""
    raise FetchError(
        f"{uri} is larger than {REGISTRY_DOCUMENT.shown}, the limit {REGISTRY_DOCUMENT.name}",
        uri=uri,
        hint=REGISTRY_DOCUMENT.hint,
    )


def _decoded(encoding: str, body: bytes, most: int) -> bytes:
    if encoding in _KINDS:
        with decompressed_stream(BytesIO(body), _KINDS[encoding]) as stream:
            return stream.read(most)
    if encoding == "deflate":
        return b"".join(inflated(BytesIO(body), most))
    raise EOFError("envy does not know this encoding")
