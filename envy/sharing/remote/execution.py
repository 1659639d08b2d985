"""Executing actions on a server, by the Remote Execution API v2.

Guarantees
  A former result is used only if it is that of a success, and all that it names is there.
  An action whose stream of answers breaks off is waited for; one that the server has forgotten is
  started again, once.
  An action that is not waited for to its end is cancelled: when the run ends, when its time is over
  (envy.sharing.remote.progress), and when no worker takes it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from envy.errors import EnvyError, FetchError
from envy.limits import EXPORT_RECORD, Limit
from envy.sharing.actions import Executed, NotExecuted, RemoteAction, ResultNotUsed
from envy.sharing.remote.blobs import Blobs
from envy.sharing.remote.input_root import (
    FileDigests,
    Payloads,
    Sources,
    add_blob,
    input_root,
)
from envy.sharing.remote.messages import encoded
from envy.sharing.remote.operation_stream import SILENCE, Breaks, NoFirstAnswer, followed
from envy.sharing.remote.output_folder import OutputFolder, targets_within
from envy.sharing.remote.progress import LONGEST_QUEUED, ActionProgress, OutOfTime
from envy.sharing.remote.server import RemoteServer, code_of
from envy.transport.context import NotFound

_IN_ALL = 10.0  # times the patience with one answer: a busy server answers late, and is wanted
_KILLED = 128 + 9  # the exit code
_OK, _DEADLINE = 0, 4  # codes of google.rpc
_LOST = frozenset({5, 9})  # not found, failed precondition: a blob is not there
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
    }
)


class RemoteExecution:
    """The executor of a server; its methods may be called from several threads."""

    def __init__(
        self,
        server: RemoteServer,
        platform: Sequence[tuple[str, str]] = (),
        *,
        patience: float = LONGEST_QUEUED,
        silence: float = SILENCE,
    ) -> None:
        """`platform` has the names and values of properties that a worker must have.

        An action waits `patience` seconds for a worker. After `silence` seconds without a word
        about it, the server is asked.
        """
        rows = [reapi.Platform.Property(name=name, value=value) for name, value in sorted(platform)]
        self._platform = reapi.Platform(properties=rows)
        self.shown = server.shown
        self._patience = patience
        self._silence = silence
        self._server = server
        server.waits.in_all = _IN_ALL
        self._digests = FileDigests()
        self._payloads = Payloads()
        self._sent: set[str] = set()  # blobs that the server has
        self._lock = threading.Lock()

    def check(self) -> None:
        """Ask whether the server executes anything.

        Raises:
            FetchError: it does not, or it cannot be reached.
        """
        if not self._server.capabilities().execution_capabilities.exec_enabled:
            raise NotExecuted(f"{self.shown} executes nothing", uri=self.shown)

    def is_news(self, error: EnvyError) -> bool:
        """Return whether an error is to be reported, which nobody else has done."""
        return self._server.is_news(error)

    def execute(
        self,
        action: RemoteAction,
        check: Callable[[], None],
        on_stage: Callable[[str], None] = lambda _stage: None,
    ) -> Executed:
        """Return how an action ends, which is looked up first; `check` may raise to end the wait.

        `on_stage` is told what the action does, as words before the name of the server.

        Raises:
            FetchError: the server does not answer, or not with what was asked for.
        """
        progress = ActionProgress(
            action=action,
            shown=self.shown,
            patience=self._patience,
            check=check,
            on_stage=on_stage,
        )
        try:
            return self._execute(action, progress)
        except OutOfTime:
            return Executed(exit_code=_KILLED, timed_out=True)

    def bring(
        self,
        action: RemoteAction,
        executed: Executed,
        folders: Mapping[str, str],
        check: Callable[[], None],
    ) -> None:
        """Create new folders with what an action has left in its output folders, by their names.

        Raises:
            NotExecuted: one is missing, or has something that is not used.
            FetchError: the server does not answer; OSError: a file cannot be written.
        """
        blobs = Blobs(self._server, check)
        inside = targets_within(action)
        for name, new in folders.items():
            tree = executed.folders.get(name)
            if tree is None:
                raise NotExecuted(f"{self.shown} did not return the folder {name}", uri=self.shown)
            above = f"{action.folder}/{name}/"
            before, links = (
                {path[len(above) :]: to for path, to in rows.items() if path.startswith(above)}
                for rows in (action.files, action.links)
            )
            OutputFolder(
                blobs,
                self._digests,
                shown=self.shown,
                before=before,
                links=links,
                top=f"/{above}",
                inside=None if name in action.free_links else inside,
            ).bring(tree, new)

    def _execute(self, action: RemoteAction, progress: ActionProgress) -> Executed:
        check = progress.watch
        root, sources = input_root(action, self._digests, self._payloads, check)
        command = add_blob(sources, encoded(_command(action, self._platform)))
        message = reapi.Action(
            command_digest=command, input_root_digest=root, platform=self._platform
        )
        if action.timeout:
            seconds = int(action.timeout)
            nanos = int((action.timeout - seconds) * 1e9)
            message.timeout.CopyFrom(Duration(seconds=seconds, nanos=nanos))
        digest = add_blob(sources, encoded(message))
        if action.reads_cache:
            found = self._cached(digest, action, check)
            if found is not None:
                return found
        self._upload(sources, check)
        for may_restart in (True, False):
            try:
                return self._run(digest, action, progress)
            except NotFound:
                if not may_restart:
                    raise
                with self._lock:  # it lost blobs, or the operation
                    self._sent.clear()
                self._upload(sources, check)
        raise AssertionError

    def _cached(
        self, digest: reapi.Digest, action: RemoteAction, check: Callable[[], None]
    ) -> Executed | None:
        request = reapi.GetActionResultRequest(
            instance_name=self._server.instance, action_digest=digest, inline_stdout=True
        )
        try:
            result = self._server.finish(
                self._server.begin(self._server.actions.GetActionResult, request), check
            )
            if result.exit_code:
                return None  # what failed is tried again
            return self._executed(result, action, check, is_cached=True)
        except NotFound:
            return None

    def _upload(self, sources: Sources, check: Callable[[], None]) -> None:
        with self._lock:
            wanted = [digest for name, (digest, _) in sources.items() if name not in self._sent]
        blobs = Blobs(self._server, check)
        missing = blobs.missing(wanted)
        blobs.upload([sources[name] for name in sources if name in missing])
        with self._lock:
            self._sent.update(digest.hash for digest in wanted)

    # -- operations --------------------------------------------------------------------------------

    def _run(
        self, digest: reapi.Digest, action: RemoteAction, progress: ActionProgress
    ) -> Executed:
        check = progress.watch
        progress.begin()
        name = ""
        breaks = Breaks(self.shown, check)

        def ask() -> Any:
            return self._asked(name, check)

        while True:
            call = None
            try:
                breaks.before_stream()
                call = self._opened(digest, name)
                for operation in followed(call, check, ask, self._silence):
                    breaks.note_answer()
                    name = operation.name or name
                    progress.note(operation)
                    if operation.done:
                        return self._ended(operation, action, check)
            except NoFirstAnswer:
                pass
            except grpc.RpcError as error:
                self._check_passing(error, name)
            except BaseException:
                self._cancel(name)
                raise
            finally:
                if call is not None:
                    call.cancel()
            if not name:
                raise NotExecuted(f"{self.shown} began no operation", uri=self.shown)

    def _check_passing(self, error: grpc.RpcError, name: str) -> None:
        """Raise what an error means, unless an operation with a name can be waited for again."""
        code = code_of(error)
        if code is grpc.StatusCode.FAILED_PRECONDITION:
            raise NotFound(f"{self.shown} lost an input", uri=self.shown) from error
        if code not in _PASSING or not name:
            raise self._server.failed(error) from error

    def _opened(self, digest: reapi.Digest, name: str) -> Any:
        """Open the stream of an operation, which begins if it has no name."""
        execution = self._server.execution
        if name:
            wait = reapi.WaitExecutionRequest(name=name)
            return self._server.open_stream(execution.WaitExecution, wait)
        request = reapi.ExecuteRequest(
            instance_name=self._server.instance, action_digest=digest, skip_cache_lookup=True
        )
        return self._server.open_stream(execution.Execute, request)

    def _asked(self, name: str, check: Callable[[], None]) -> Any:
        """Return how far an operation is, beside its stream; None if the server cannot tell.

        Raises:
            RpcError: it has forgotten the operation, or cannot be reached; NoFirstAnswer.
        """
        if not name:
            return None
        call = self._opened(reapi.Digest(), name)
        try:
            return next(followed(call, check), None)
        except grpc.RpcError as error:
            if code_of(error) is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise
        finally:
            call.cancel()

    def _ended(self, operation: Any, action: RemoteAction, check: Callable[[], None]) -> Executed:
        answer = reapi.ExecuteResponse()
        if operation.WhichOneof("result") == "error":
            raise self._refused(operation.error)
        try:
            is_answer = operation.response.Unpack(answer)
        except DecodeError:
            is_answer = False
        if not is_answer:
            raise NotExecuted(f"{self.shown} sent something else than a result", uri=self.shown)
        if answer.status.code == _DEADLINE:
            return self._executed(answer.result, action, check, timed_out=True)
        if answer.status.code != _OK:
            raise self._refused(answer.status)
        return self._executed(answer.result, action, check)

    def _refused(self, status: Any) -> FetchError:
        if status.code in _LOST:
            return NotFound(f"{self.shown} lost a part of an action", uri=self.shown)
        reason = f"{status.code}: {status.message.partition(chr(10))[0][:200]}"
        return NotExecuted(f"{self.shown} did not execute an action ({reason})", uri=self.shown)

    def _cancel(self, name: str) -> None:
        if name:
            request = operations_pb2.CancelOperationRequest(name=name)
            with contextlib.suppress(Exception):  # it ends by itself
                self._server.call(self._server.operations.CancelOperation, request)

    # -- results -----------------------------------------------------------------------------------

    def _executed(
        self,
        result: reapi.ActionResult,
        action: RemoteAction,
        check: Callable[[], None],
        *,
        is_cached: bool = False,
        timed_out: bool = False,
    ) -> Executed:
        if not 0 <= result.exit_code <= 255 and not timed_out:
            raise NotExecuted(
                f"{self.shown} says that an action ended with {result.exit_code}, which no "
                "program can",
                uri=self.shown,
            )
        files = {row.path: row.digest for row in result.output_files if row.path in action.outputs}
        wanted = {**files}
        if not result.stdout_raw:
            wanted[_STDOUT] = result.stdout_digest
        if not result.stderr_raw:
            wanted[_STDERR] = result.stderr_digest
        digests = {name: one for name, one in wanted.items() if one.size_bytes and one.hash}
        self._check_size(digests.values(), action.largest_output, "an action wrote")
        trees = {
            row.path: row.tree_digest
            for row in result.output_directories
            if row.path in action.output_folders
        }
        self._check_size(trees.values(), EXPORT_RECORD, "the trees of an action have")
        asked = [*digests.values(), *trees.values()]
        texts = Blobs(self._server, check).read(asked) if asked else {}
        found = {name: texts[one.hash] for name, one in digests.items()}
        return Executed(
            exit_code=result.exit_code,
            stdout=result.stdout_raw or found.pop(_STDOUT, b""),
            stderr=result.stderr_raw or found.pop(_STDERR, b""),
            outputs={name: found.get(name, b"") for name in files},
            folders={name: texts[one.hash] for name, one in trees.items()},
            is_cached=is_cached,
            timed_out=timed_out,
        )

    def _check_size(self, digests: Iterable[reapi.Digest], most: Limit, what: str) -> None:
        sizes = [digest.size_bytes for digest in digests]
        if sum(sizes) > most.value or any(size < 0 for size in sizes):
            raise ResultNotUsed(
                f"{what} more than {most.shown}, the limit {most.name}",
                uri=self.shown,
                hint=most.hint,
            )


_STDOUT, _STDERR = "/stdout", "/stderr"  # no path of an output


def _command(action: RemoteAction, platform: reapi.Platform) -> reapi.Command:
    variables = [
        reapi.Command.EnvironmentVariable(name=name, value=value)
        for name, value in sorted(action.environment.items())
    ]
    return reapi.Command(
        arguments=list(action.argv),
        environment_variables=variables,
        output_paths=sorted([*action.outputs, *action.output_folders]),
        output_files=sorted(action.outputs),  # for servers that are older than `output_paths`
        output_directories=sorted(action.output_folders),
        working_directory=action.folder,
        platform=platform,  # for servers that are older than that of the action
    )
