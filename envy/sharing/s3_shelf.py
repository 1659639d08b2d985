"""Depots in object stores that speak the protocol of S3: `s3://BUCKET/PREFIX`.

Each request is one of HTTP whose address is signed; only the list of all objects is made by the
library `obstore`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from envy.declarations.depots import Depot
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.sharing.http_shelf import HttpShelf
from envy.sharing.object_names import is_object_name
from envy.sharing.shelf import StoredObject
from envy.transport.aws_settings import HOW_TO_GIVE, AwsAccess, aws_access
from envy.transport.context import FetchContext
from envy.transport.request import Request
from envy.transport.s3 import (
    SignedMethod,
    in_region,
    known_region,
    opened_store,
    signer,
    transfer_object,
)
from envy.transport.streaming import read_beginning

_ELSEWHERE = frozenset({301, 307, 400})  # what a store says of a bucket in another region
_CONFLICT = 409


class S3Shelf(HttpShelf):
    """A bucket, or a part of one."""

    _how_to = HOW_TO_GIVE

    def __init__(self, depot: Depot) -> None:
        super().__init__(depot)
        self._bucket, _, self._prefix = depot.url.removeprefix("s3://").partition("/")

    def listed(self, context: FetchContext) -> Iterator[StoredObject]:
        """Yield the objects below the prefix."""
        context.check_online(self.shown)
        import obstore
        from obstore.exceptions import BaseError

        self._finds_region("", context)
        try:
            store = opened_store(self._bucket, self._access(context))
            above = f"{self._prefix}/" if self._prefix else ""
            for rows in obstore.list(store, prefix=self._prefix or None):
                context.check_cancelled()
                for row in rows:
                    name = row["path"].removeprefix(above)
                    if is_object_name(name):
                        yield StoredObject(
                            name=name, size=row["size"], used_at=row["last_modified"].timestamp()
                        )
        except BaseError as error:
            reason = str(error).partition("\n")[0]
            raise FetchError(f"cannot list {self.shown}: {reason}", uri=self.shown) from error

    def _beginning(self, request: Request, size: int, context: FetchContext) -> bytes:
        return in_region(
            self._bucket,
            self._access(context),
            context,
            lambda sign: read_beginning(replace(request, sign=sign), size, context),
        )

    def _send(
        self, method: SignedMethod, name: str, context: FetchContext, *, body: Path | None = None
    ) -> int:
        """Send a request again if the bucket turns out to be in another region."""
        status = super()._send(method, name, context, body=body)
        if status in _ELSEWHERE and self._finds_region(name, context):
            status = super()._send(method, name, context, body=body)
        return status

    def _finds_region(self, name: str, context: FetchContext) -> bool:
        """Ask for one byte, whose answer names the region, and return whether that is news."""
        before = self._access(context).region
        request = self._request(name, context)
        headers = {**request.headers, "range": "bytes=0-0"}
        with contextlib.suppress(FetchError), self._asking(context) as asked:
            self._beginning(replace(request, headers=headers), 1, asked)
        return self._access(context).region != before

    def _makes_room(self, status: int, name: str, context: FetchContext) -> bool:
        """Return whether to try again: there are no folders, and a conflict is of two writers."""
        del name, context
        return status == _CONFLICT

    def _download(self, request: Request, path: Path, context: FetchContext) -> None:
        transfer_object(request, path, context, path.name, self._access(context))

    def _addressed(
        self, method: SignedMethod, name: str, context: FetchContext
    ) -> tuple[str, dict[str, str]]:
        url = f"{self._depot.url}/{name}"
        if method == "GET":  # which is signed for each connection of its own
            return url, {}
        return signer(self._bucket, self._access(context), method=method)(url), {}

    def _access(self, context: FetchContext) -> AwsAccess:
        item = SourceItem(source=self._depot.url, headers=self._depot.headers, base_dir=Path("/"))
        access = aws_access(item, context)
        return replace(access, region=known_region(self._bucket, access, context))
