"""Requests that change something on a server: PUT, DELETE and the like.

Owns how one is sent; what its status means is decided by the caller.
"""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO, cast

from envy.declarations.request_headers import AUTHORIZATION
from envy.transport.addresses import redacted
from envy.transport.connection import is_final, not_sendable, request_error
from envy.transport.context import FetchContext
from envy.transport.credentials import basic, netrc_authorization
from envy.transport.pools import pool_for, without_credentials
from envy.transport.retries import Retries, is_passing, seconds_of

_MOST_READ = 1 << 16  # bytes of an answer


class _Leaving:
    """A file that is sent; the run may be cancelled between its parts."""

    def __init__(self, file: BinaryIO, context: FetchContext) -> None:
        self._file = file
        self._context = context

    def read(self, size: int = -1) -> bytes:
        """Return the next part, which leaves now."""
        self._context.check_cancelled()
        data = self._file.read(size)
        self._context.moved(len(data))
        return data


def send(
    method: str,
    url: str,
    context: FetchContext,
    *,
    headers: Mapping[str, str] | None = None,
    body: Path | None = None,
) -> int:
    """Send a request with the content of a file, follow no redirect, and return the status.

    Raises:
        Offline: envy works offline; FetchError: the server did not answer.
    """
    context.check_online(redacted(url))
    import urllib3

    bare, credentials = without_credentials(url)
    sent = {"user-agent": "envy", **(headers or {})}
    if credentials and AUTHORIZATION not in sent:
        sent[AUTHORIZATION] = basic(credentials)
    elif AUTHORIZATION not in sent:
        authorization = netrc_authorization(url, context)
        sent |= {AUTHORIZATION: authorization} if authorization else {}
    pool = pool_for(bare, context, "")
    retries = Retries(context)
    while True:
        context.check_cancelled()
        try:
            with contextlib.ExitStack() as closing:
                content = None
                if body:
                    file = closing.enter_context(body.open("rb"))
                    content = cast("IO[bytes]", _Leaving(file, context))  # of which it reads only
                    sent["content-length"] = str(body.stat().st_size)
                request = functools.partial(
                    pool.request,
                    method,
                    bare,
                    headers=sent,
                    body=content,
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                    retries=False,
                )
                response = context.waiting(request)
                closing.callback(response.close)
                # What it says is not shown; a connection whose answer is read can be used again.
                response.read(_MOST_READ, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if is_final(error) or not retries.wait():
                raise request_error(url, error, context) from error
            continue
        except ValueError:
            raise not_sendable(redacted(url)) from None
        after = seconds_of(response.headers.get("retry-after", ""))
        if not is_passing(response.status) or not retries.wait(after):
            return response.status
