"""A server of the Remote Execution API on loopback, in memory, whose faults a test chooses."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2_grpc as services,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2, bytestream_pb2_grpc
from buildgrid.common.protos.google.rpc import code_pb2

FAULTS = (
    "unavailable", "exhausted", "internal", "stall", "flip", "missing", "wrong-size", "other-key",
    "evict", "cut",
)  # fmt: skip
SLOW_FAULTS = ("late", "drip")  # which take time, as "stall" does


class RemoteServer:
    """Blobs and results. `fault` is called before each answer, and returns a fault or ""."""

    executes = False

    def __init__(
        self,
        *,
        token="",
        read_only=False,
        functions=("SHA256",),
        delay=0.0,
        tls=None,
        threads=64,
    ):
        self.blobs = {hashlib.sha256(b"").hexdigest(): b""}
        self.results = {}
        self.calls = []
        self.uploaded = []  # hashes, in order
        self.fault = lambda _method: ""
        self.before = lambda _method: None  # is called before each answer, and may wait
        self.token, self.read_only, self.functions = token, read_only, functions
        self.delay = delay
        self.late = 3.0  # seconds, of an answer with that fault, and between two bytes of a drip
        self._at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(threads))
        services.add_CapabilitiesServicer_to_server(_Capabilities(self), self._server)
        services.add_ActionCacheServicer_to_server(_ActionCache(self), self._server)
        services.add_ContentAddressableStorageServicer_to_server(_Storage(self), self._server)
        bytestream_pb2_grpc.add_ByteStreamServicer_to_server(_Stream(self), self._server)
        if tls is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("localhost:0", tls)
        self.url = f"grpc{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{self.port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0)

    def begin(self, method, context, *, writes=False):
        """Note a call; fail it if that is due; return the fault that its answer has."""
        with self.lock:
            self.calls.append(method)
            fault = self.fault(method)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.before(method)
        time.sleep(self.delay)
        with self.lock:
            self._at_once -= 1
        if self.token:
            given = dict(context.invocation_metadata()).get("authorization", "")
            if given != f"Bearer {self.token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
        if writes and self.read_only:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "read-only")
        if fault == "unavailable":
            context.abort(grpc.StatusCode.UNAVAILABLE, "try later")
        if fault == "exhausted":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota")
        if fault == "internal":
            context.abort(grpc.StatusCode.INTERNAL, "oops")
        if fault == "stall":
            while context.is_active():
                time.sleep(0.05)
        if fault == "late":
            self.wait(context)
        return fault

    def wait(self, context):
        """Wait, unless the client has given up."""
        ends = time.monotonic() + self.late
        while context.is_active() and time.monotonic() < ends:
            time.sleep(0.01)

    def damaged(self, fault, data):
        """Return a blob as a fault leaves it; None if it is missing."""
        if fault in {"missing", "evict"}:
            return None
        if fault == "flip" and data:
            return data[:-1] + bytes([data[-1] ^ 1])
        if fault in {"wrong-size", "cut"}:
            return data[: len(data) // 2]
        return data


class _Capabilities(services.CapabilitiesServicer):
    def __init__(self, server):
        self.server = server

    def GetCapabilities(self, request, context):
        self.server.begin("GetCapabilities", context)
        if request.instance_name:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such instance")
        values = [reapi.DigestFunction.Value.Value(name) for name in self.server.functions]
        update = reapi.ActionCacheUpdateCapabilities(update_enabled=not self.server.read_only)
        return reapi.ServerCapabilities(
            cache_capabilities=reapi.CacheCapabilities(
                digest_function=values, action_cache_update_capabilities=update
            ),
            execution_capabilities=reapi.ExecutionCapabilities(exec_enabled=self.server.executes),
        )


class _ActionCache(services.ActionCacheServicer):
    def __init__(self, server):
        self.server = server

    def GetActionResult(self, request, context):
        fault = self.server.begin("GetActionResult", context)
        found = self.server.results.get(request.action_digest.hash)
        if fault == "other-key" and self.server.results:
            found = random.choice(list(self.server.results.values()))
        if found is None or fault == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "none")
        return reapi.ActionResult.FromString(found)

    def UpdateActionResult(self, request, context):
        self.server.begin("UpdateActionResult", context, writes=True)
        data = request.action_result.SerializeToString()
        self.server.results[request.action_digest.hash] = data
        return request.action_result


class _Storage(services.ContentAddressableStorageServicer):
    def __init__(self, server):
        self.server = server

    def FindMissingBlobs(self, request, context):
        fault = self.server.begin("FindMissingBlobs", context)
        missing = [d for d in request.blob_digests if d.hash not in self.server.blobs]
        if fault == "evict":  # they are said to be there, and are gone when they are asked for
            missing = []
        return reapi.FindMissingBlobsResponse(missing_blob_digests=missing)

    def BatchUpdateBlobs(self, request, context):
        self.server.begin("BatchUpdateBlobs", context, writes=True)
        rows = []
        for one in request.requests:
            is_right = hashlib.sha256(one.data).hexdigest() == one.digest.hash
            if is_right:
                self.server.blobs[one.digest.hash] = one.data
                self.server.uploaded.append(one.digest.hash)
            row = reapi.BatchUpdateBlobsResponse.Response(digest=one.digest)
            row.status.code = code_pb2.OK if is_right else code_pb2.INVALID_ARGUMENT
            rows.append(row)
        return reapi.BatchUpdateBlobsResponse(responses=rows)

    def BatchReadBlobs(self, request, context):
        fault = self.server.begin("BatchReadBlobs", context)
        rows = []
        for number, digest in enumerate(request.digests):
            data = self.server.blobs.get(digest.hash)
            data = data if data is None or number else self.server.damaged(fault, data)
            row = reapi.BatchReadBlobsResponse.Response(digest=digest, data=data or b"")
            row.status.code = code_pb2.NOT_FOUND if data is None else code_pb2.OK
            rows.append(row)
        return reapi.BatchReadBlobsResponse(responses=rows)


class _Stream(bytestream_pb2_grpc.ByteStreamServicer):
    def __init__(self, server):
        self.server = server

    def Read(self, request, context):
        fault = self.server.begin("Read", context)
        data = self.server.blobs.get(request.resource_name.split("/")[-2])
        data = None if data is None else self.server.damaged(fault, data)
        if data is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "none")
        last = request.read_offset + (request.read_limit or len(data))
        if fault == "drip":
            for position in range(request.read_offset, min(last, len(data))):
                self.server.wait(context)
                yield bytestream_pb2.ReadResponse(data=data[position : position + 1])
            return
        for start in range(request.read_offset, min(last, len(data)), 1 << 19):
            yield bytestream_pb2.ReadResponse(data=data[start : min(start + (1 << 19), last)])

    def Write(self, requests, context):
        fault = self.server.begin("Write", context, writes=True)
        name, data = "", b""
        for part in requests:
            if fault == "drip":
                self.server.wait(context)
            name = name or part.resource_name
            data += part.data
        digest = name.split("/")[-2]
        if hashlib.sha256(data).hexdigest() != digest:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "another digest")
        self.server.blobs[digest] = data
        self.server.uploaded.append(digest)
        return bytestream_pb2.WriteResponse(committed_size=len(data))
