"""The connection to a server of the Remote Execution API: calls, time limits and errors.

Owns the channel, the credentials, and what the statuses of gRPC mean.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2_grpc as services,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2, bytestream_pb2_grpc
from buildgrid.common.protos.google.longrunning import operations_pb2_grpc

from envy.errors import EnvyError, FetchError
from envy.sharing.remote.location import RemoteLocation
from envy.sharing.remote.raw_answers import blobs_of_batch, data_of_part
from envy.sharing.waits import Wait, Waits
from envy.transport.context import NoAnswer, NotFound

_Answer = TypeVar("_Answer")

PATIENT = 60.0  # where somebody wants just this
_LEAST_RATE = 2 << 20  # bytes a second, of one call beside others
_TICK = 0.5  # seconds between two looks at whether the run was cancelled, or a transfer goes on
_MOST_RECEIVED = 16 << 20  # bytes of one message
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _MOST_RECEIVED),
    ("grpc.enable_retries", 0),
    # Servers break off all calls of who pings more often than every five minutes without data.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_LONGEST_REASON = 200
_UNREACHABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DATA_LOSS,
    }
)
_CODE = grpc.StatusCode
_ANSWERS = frozenset({_CODE.OK, _CODE.NOT_FOUND})
_PASSING = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
)
_MEANINGS = {
    grpc.StatusCode.UNAUTHENTICATED: "does not accept the credentials that were sent",
    grpc.StatusCode.PERMISSION_DENIED: "does not allow this user to do that",
    grpc.StatusCode.UNIMPLEMENTED: "does not speak the Remote Execution API v2",
    grpc.StatusCode.INVALID_ARGUMENT: "does not accept the request",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "has no room, or too much to do",
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time",
    grpc.StatusCode.UNAVAILABLE: "cannot be reached",
}
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_HOW_TO_TRUST = (
    "if it has not expired, set ENVY_REMOTE_CA to a file with the certificate of its authority"
)
_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: "set ENVY_REMOTE_TOKEN_FILE to a file with a valid token",
    grpc.StatusCode.INVALID_ARGUMENT: "check the instance: --remote grpc://HOST:PORT/INSTANCE",
    grpc.StatusCode.UNIMPLEMENTED: "check the address and the port",
}


class Refused(FetchError):
    """The server answered that this user may not do that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a connection is made with: PEM texts, b"" for those of the system; and a token."""

    trusted: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""


class RemoteServer:
    """One channel to a server; its methods may be called from several threads."""

    def __init__(self, location: RemoteLocation, credentials: Credentials) -> None:
        self.shown = location.shown
        self.instance = location.instance
        self.waits = Waits(location.shown)
        self._metadata = (
            [("authorization", f"Bearer {credentials.token}")] if credentials.token else []
        )
        options = list(CHANNEL_OPTIONS)
        if location.is_encrypted:
            pem = (credentials.trusted, credentials.key, credentials.certificate)
            made = grpc.ssl_channel_credentials(*(text or None for text in pem))
            self._channel = grpc.secure_channel(location.address, made, options)
        else:
            self._channel = grpc.insecure_channel(location.address, options)
        self.actions = services.ActionCacheStub(self._channel)
        self.storage = services.ContentAddressableStorageStub(self._channel)
        self.stream = bytestream_pb2_grpc.ByteStreamStub(self._channel)
        self.read_batch = self._channel.unary_unary(
            "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs",
            request_serializer=reapi.BatchReadBlobsRequest.SerializeToString,
            response_deserializer=blobs_of_batch,
        )
        self._read = self._channel.unary_stream(
            "/google.bytestream.ByteStream/Read",
            request_serializer=bytestream_pb2.ReadRequest.SerializeToString,
            response_deserializer=data_of_part,
        )
        self.execution = services.ExecutionStub(self._channel)
        self.operations = operations_pb2_grpc.OperationsStub(self._channel)
        self._capabilities = services.CapabilitiesStub(self._channel)
        self._known: reapi.ServerCapabilities | None = None
        self._broken: FetchError | None = None
        self._lock = threading.Lock()
        self._was_told = False
        self._told_lock = threading.Lock()  # `_lock` is held while the server is asked

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def capabilities(self) -> reapi.ServerCapabilities:
        """Return what the server can do; asked once.

        Raises:
            FetchError: the server cannot be reached, or cannot be used.
        """
        with self._lock:
            if self._broken is not None:  # who asks next does not wait again
                raise self._broken
            if self._known is None:
                request = reapi.GetCapabilitiesRequest(instance_name=self.instance)
                try:
                    found = self.call(self._capabilities.GetCapabilities, request)
                except FetchError as error:
                    self._broken = error
                    raise
                functions = self.functions(found)
                if "SHA256" not in functions:
                    names = ", ".join(functions) or "nothing"
                    raise FetchError(
                        f"{self.shown} cannot be used: it names blobs by {names}, and envy by "
                        "SHA256",
                        uri=self.shown,
                    )
                self._known = found
            return self._known

    def is_news(self, error: EnvyError) -> bool:
        """Return whether a user of the server is to report an error; the caller does so then.

        That the server cannot be used, or is gone, is reported once, whoever notices it first.
        """
        with self._told_lock:
            if not isinstance(error, NoAnswer) and error is not self._broken:
                return True
            is_first, self._was_told = not self._was_told, True
            return is_first

    @staticmethod
    def functions(capabilities: reapi.ServerCapabilities) -> list[str]:
        """Return the names of the digest functions that a server knows."""
        known = dict(reapi.DigestFunction.Value.items())
        names = {value: name for name, value in known.items()}
        found = capabilities.cache_capabilities.digest_function
        return [names.get(value, str(value)) for value in found]

    def begin(self, method: Any, request: Any, *, size: int = 0, among: int = 1) -> Any:
        """Send a request, and return the future of its answer, for `finish`.

        The call transfers `size` bytes, as one `among` so many at once.

        Raises:
            NoAnswer: the server was given up.
        """
        self.waits.check()
        future = method.future(
            request, timeout=self._seconds_for(size * among), metadata=self._metadata
        )
        wait = self._begun(future)

        def note(ended: Any) -> None:
            code = ended.code()
            self.waits.done(wait, size=size if code is _CODE.OK else 0, answers=code in _ANSWERS)

        future.add_done_callback(note)
        return future

    def _begun(self, future: Any) -> Wait:
        try:
            return self.waits.begin(future.cancel)
        except BaseException:
            future.cancel()
            raise

    def finish(self, future: Any, check: Callable[[], None] = lambda: None) -> Any:
        """Return the answer of a request; `check` is called now and then, and may end the wait.

        Raises:
            FetchError: there is none; NotFound: the server does not have what was asked for.
        """
        try:
            return self._result(future, check)
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            raise self.failed(error) from error

    @staticmethod
    def _result(future: Any, check: Callable[[], None]) -> Any:
        try:
            while True:
                try:
                    return future.result(timeout=_TICK)
                except grpc.FutureTimeoutError:
                    check()
        except (grpc.RpcError, grpc.FutureCancelledError):
            raise
        except BaseException:
            future.cancel()
            raise

    def call(
        self,
        method: Any,
        request: Any,
        check: Callable[[], None] = lambda: None,
    ) -> Any:
        """Send a request and return the answer; what may pass is tried once more.

        `check` is called now and then, and may end the wait.

        Raises:
            FetchError: there is none; NotFound: the server does not have what was asked for.
        """
        try:
            return self._result(self.begin(method, request), check)
        except grpc.RpcError as error:
            if code_of(error) not in _PASSING:
                raise self.failed(error) from error
        except grpc.FutureCancelledError as error:
            raise self.failed(error) from error
        return self.finish(self.begin(method, request), check)

    def write_stream(
        self, requests: Callable[[], Iterator[Any]], check: Callable[[], None], *, size: int
    ) -> Any:
        """Write a stream, and return the answer; a stream that stops being taken is given up.

        Raises:
            FetchError: the server does not take it.
        """
        self.waits.check()
        last_taken = time.monotonic()
        broken: list[Exception] = []

        def counted() -> Iterator[Any]:
            nonlocal last_taken
            try:
                for request in requests():
                    yield request
                    last_taken = time.monotonic()
                    self.waits.note(len(request.data))
            except Exception as error:  # noqa: BLE001  of a file here, in a thread of the library
                broken.append(error)

        def watch() -> None:
            check()
            if broken:
                raise broken[0]
            if time.monotonic() - last_taken > self.waits.patience:
                said = f"took nothing of a blob for {self.waits.patience:g} s"
                raise self.waits.give_up(NoAnswer(f"{self.shown} {said}", uri=self.shown))

        future = self.stream.Write.future(
            counted(), timeout=self._seconds_for(size) * 8, metadata=self._metadata
        )
        wait = self._begun(future)
        future.add_done_callback(
            lambda ended: self.waits.done(wait, answers=ended.code() in _ANSWERS)
        )
        try:
            answer = self.finish(future, watch)
        except FetchError:
            if not broken:
                raise
        if broken:  # the server is not to blame for what was not sent
            raise broken[0]
        return answer

    def open_read(self, request: Any, *, size: int, among: int = 1) -> Any:
        """Start to read `size` bytes of a blob, for `parts_of`; `cancel` of the call ends it.

        It is one `among` so many at once.

        Raises:
            NoAnswer: the server was given up.
        """
        self.waits.check()
        seconds = self._seconds_for(size * among)
        return self._read(request, timeout=seconds, metadata=self._metadata)

    def parts_of(self, answer: Any) -> Iterator[bytes]:
        """Yield the parts of what a call reads.

        Raises:
            FetchError: it cannot be had, or breaks off.
        """
        try:
            while True:
                wait = self.waits.begin(answer.cancel, silence=self.waits.patience)
                came = 0
                try:
                    part = next(answer, None)
                    came = len(part) if part is not None else 0
                finally:  # what is done with it is not waited for
                    self.waits.done(wait, size=came)
                if part is None:
                    return
                yield part
        except grpc.RpcError as error:
            raise self.failed(error) from error
        finally:
            answer.cancel()

    def open_stream(self, method: Any, request: Any) -> Any:
        """Start a call whose answers come when they come; it has no time limit."""
        return method(request, metadata=self._metadata)

    def _seconds_for(self, size: int) -> float:
        """Return how long a call may take that transfers so many bytes."""
        return self.waits.patience + size / _LEAST_RATE

    def failed(self, error: Any) -> FetchError:
        """Return the error of a call as one of envy; a server that did not answer is given up."""
        if self.waits.gone is not None:
            return self.waits.gone
        code = code_of(error)
        details = str(getattr(error, "details", lambda: "")() or "").partition("\n")[0]
        name = code.name if code is not None else type(error).__name__
        meaning = _MEANINGS.get(code, "failed") if code is not None else "failed"
        hint = _HINTS.get(code, "") if code is not None else ""
        if _UNTRUSTED in details:  # behind addresses and numbers of lines of the library
            details = details[details.index(_UNTRUSTED) :]
            meaning, hint = "has a certificate that is not valid or not trusted here", _HOW_TO_TRUST
        reason = f": {details[:_LONGEST_REASON]}" if details else ""
        message = f"{self.shown} {meaning} ({name}{reason})"
        kind: type[FetchError] = FetchError
        if code is grpc.StatusCode.NOT_FOUND:
            kind = NotFound
        elif code in _UNREACHABLE or code is None:
            kind = NoAnswer
        elif code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}:
            kind = Refused
        failure = kind(message, uri=self.shown, hint=hint)
        if isinstance(failure, NoAnswer) and code is _CODE.DEADLINE_EXCEEDED:
            return self.waits.give_up(failure)  # each further call would take as long
        return failure


def code_of(error: Any) -> grpc.StatusCode | None:
    """Return the status of a failed call; None if it has none."""
    code = getattr(error, "code", None)
    return code() if callable(code) else None
