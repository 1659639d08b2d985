"""A server of the Remote Execution API on loopback that executes actions in temporary folders."""

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import grpc
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2_grpc as services,
)
from buildgrid.common.protos.google.longrunning import operations_pb2, operations_pb2_grpc
from buildgrid.common.protos.google.rpc import code_pb2
from google.protobuf import empty_pb2
from loopback.remote_server import RemoteServer

# What may happen to an execution, beside the faults of every call.
EXECUTION_FAULTS = (
    "break", "forget", "no-operation", "refuse", "lost-input", "large-code", "negative-code",
    "huge", "other-type", "operation-error",
)  # fmt: skip


class ExecutingServer(RemoteServer):
    """Executes without a sandbox: an action sees this machine's files, too.

    With `rooted`, the input root is the root of all paths, by bubblewrap. `change` may change the
    tree of an output folder, a message, before it is stored.
    """

    executes = True

    def __init__(self, *, rooted=False, change=lambda _path, _tree: None, **details):
        super().__init__(**details)
        self.rooted, self.change = rooted, change
        self.operations = {}
        self.started = threading.Event()
        self.meeting = None  # a barrier at which all programs wait before they start
        self.most_running = self._running = 0  # programs at once
        services.add_ExecutionServicer_to_server(_Execution(self), self._server)
        operations_pb2_grpc.add_OperationsServicer_to_server(_Operations(self), self._server)

    def count(self, change):
        """Note that programs have started, or have ended."""
        with self.lock:
            self._running += change
            self.most_running = max(self.most_running, self._running)

    def __exit__(self, *_):
        for operation in self.operations.values():
            operation.kill()
        super().__exit__()


class _Operation:
    def __init__(self, server, name, action_digest):
        self.server, self.name, self.digest = server, name, action_digest
        self.ended = threading.Event()
        self.process = None
        self.was_cancelled = False
        self.answer = reapi.ExecuteResponse()
        threading.Thread(target=self._run, daemon=True).start()

    def kill(self):
        self.was_cancelled = True
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _run(self):
        try:
            with tempfile.TemporaryDirectory() as top:
                self._execute(Path(top))
        except KeyError as error:
            self.answer.status.code = code_pb2.FAILED_PRECONDITION
            self.answer.status.message = f"missing blob {error}"
        self.ended.set()

    def _execute(self, top):
        blobs = self.server.blobs
        action = reapi.Action.FromString(blobs[self.digest])
        command = reapi.Command.FromString(blobs[action.command_digest.hash])
        self._put(action.input_root_digest.hash, top)
        folder = top / command.working_directory
        out, err = top.parent / f"{top.name}.out", top.parent / f"{top.name}.err"
        if self.server.meeting is not None:
            self.server.meeting.wait()
        self.server.count(1)
        try:
            with out.open("wb") as output, err.open("wb") as errors:
                self.process = subprocess.Popen(
                    [*self._sandbox(top, command), *command.arguments],
                    cwd=folder,
                    env={row.name: row.value for row in command.environment_variables},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
                self.server.started.set()
                limit = action.timeout.ToTimedelta().total_seconds() or None
                try:
                    code = self.process.wait(timeout=limit)
                except subprocess.TimeoutExpired:
                    self.kill()
                    code = self.process.wait()
                    self.answer.status.code = code_pb2.DEADLINE_EXCEEDED
            result = self.answer.result
            result.exit_code = code if code >= 0 else 128 - code
            result.stdout_digest.CopyFrom(self._keep(out.read_bytes()))
            result.stderr_digest.CopyFrom(self._keep(err.read_bytes()))
            for path in command.output_paths:
                if (folder / path).is_file():
                    digest = self._keep((folder / path).read_bytes())
                    result.output_files.add(path=path).digest.CopyFrom(digest)
                elif (folder / path).is_dir():
                    tree = reapi.Tree()
                    tree.root.CopyFrom(self._tree(folder / path, tree))
                    self.server.change(path, tree)
                    digest = self._keep(tree.SerializeToString(deterministic=True))
                    result.output_directories.add(path=path).tree_digest.CopyFrom(digest)
            if not self.answer.status.code and not action.do_not_cache:
                self.server.results[self.digest] = result.SerializeToString()
        finally:
            self.server.count(-1)
            for path in (out, err):
                path.unlink(missing_ok=True)

    def _sandbox(self, top, command):
        if not self.server.rooted:
            return []
        return ["bwrap", "--bind", top, "/", "--dev", "/dev", "--proc", "/proc", "--chdir",
                f"/{command.working_directory}", "--die-with-parent"]  # fmt: skip

    def _tree(self, folder, tree):
        message = reapi.Directory()
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                message.symlinks.add(name=path.name, target=str(path.readlink()))
            elif path.is_dir():
                child = self._tree(path, tree)
                tree.children.append(child)
                digest = self._keep(child.SerializeToString(deterministic=True))
                message.directories.add(name=path.name).digest.CopyFrom(digest)
            else:
                node = message.files.add(name=path.name)
                node.digest.CopyFrom(self._keep(path.read_bytes()))
                node.is_executable = os.access(path, os.X_OK)
        return message

    def _put(self, name, folder):
        message = reapi.Directory.FromString(self.server.blobs[name])
        for node in message.files:
            path = folder / node.name
            path.write_bytes(self.server.blobs[node.digest.hash])
            path.chmod(0o755 if node.is_executable else 0o644)
        for node in message.symlinks:
            (folder / node.name).symlink_to(node.target)
        for node in message.directories:
            (folder / node.name).mkdir()
            self._put(node.digest.hash, folder / node.name)

    def _keep(self, data):
        name = hashlib.sha256(data).hexdigest()
        self.server.blobs[name] = data
        return reapi.Digest(hash=name, size_bytes=len(data))

    def message(self, fault=""):
        operation = operations_pb2.Operation(name=self.name, done=self.ended.is_set())
        if not operation.done:
            return operation
        answer = reapi.ExecuteResponse.FromString(self.answer.SerializeToString())
        if fault == "large-code":
            answer.result.exit_code = 1 << 20
        if fault == "negative-code":
            answer.result.exit_code = -11
        if fault == "huge":
            answer.result.stdout_digest.size_bytes = 1 << 40
        if fault == "refuse":
            answer.status.code = code_pb2.RESOURCE_EXHAUSTED
            answer.status.message = "no worker"
        if fault == "operation-error":
            operation.error.code = code_pb2.INTERNAL
        elif fault == "other-type":
            operation.response.Pack(empty_pb2.Empty())
        else:
            operation.response.Pack(answer)
        return operation


class _Execution(services.ExecutionServicer):
    def __init__(self, server):
        self.server = server

    def Execute(self, request, context):
        fault = self.server.begin("Execute", context)
        name = request.action_digest.hash
        if fault == "lost-input" and self.server.calls.count("Execute") == 1:
            self.server.blobs.pop(name)
        if fault == "no-operation":
            return
        if fault == "queue":  # for ever, as no worker has what it asks for
            waiting = operations_pb2.Operation(name="waiting")
            stage = reapi.ExecutionStage.QUEUED
            waiting.metadata.Pack(reapi.ExecuteOperationMetadata(stage=stage))
            yield waiting
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait()
            return
        operation = _Operation(self.server, f"op/{len(self.server.operations)}", name)
        self.server.operations[operation.name] = operation
        yield operation.message()
        if fault == "mute":  # the connection is gone, and nobody says so
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait()
            return
        if fault in {"break", "forget"}:
            if fault == "forget":
                del self.server.operations[operation.name]
            context.abort(grpc.StatusCode.UNAVAILABLE, "goodbye")
        yield from self._until_done(operation, fault, context)

    def WaitExecution(self, request, context):
        fault = self.server.begin("WaitExecution", context)
        operation = self.server.operations.get(request.name)
        if operation is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such operation")
        yield operation.message()
        yield from self._until_done(operation, fault, context, kills=False)

    def _until_done(self, operation, fault, context, *, kills=True):
        while not operation.ended.wait(0.02):
            if not context.is_active():  # nobody waits for it any more
                if kills:
                    operation.kill()
                return
        yield operation.message(fault)


class _Operations(operations_pb2_grpc.OperationsServicer):
    def __init__(self, server):
        self.server = server

    def CancelOperation(self, request, context):
        self.server.begin("CancelOperation", context)
        if request.name in self.server.operations:
            self.server.operations[request.name].kill()
        return empty_pb2.Empty()
