"""The messages of the Remote Execution API v2, and which of them stand for an entry.

https://github.com/bazelbuild/remote-apis: an entry is the result of an action that nobody executes.
Its command is `envy-asset`, the format and the full entry key; its platform is that of the entry.
The result has the two records of the entry as files, and its payload as a tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi
from google.protobuf.message import Message

from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS

_FORMAT = "1"
NO_FOLDER = reapi.Directory().SerializeToString(deterministic=True)


def digest_of(data: bytes) -> reapi.Digest:
    """Return the digest of a blob."""
    return reapi.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def encoded(message: Message) -> bytes:
    """Return a message as the bytes whose digest names it."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def entry_action(entry: EntryPaths, key_hex: str, *, root: str = "") -> tuple[bytes, bytes]:
    """Return the action of an entry and its command; with `root`, for caches at that path only."""
    platform_tag = entry.name.partition("/")[2].rpartition("-blake3-")[0]
    arguments = ["envy-asset", _FORMAT, key_hex]
    if root:
        arguments += ["root", root]
    outputs = [ASSET, FINGERPRINT, INGREDIENTS]
    return named_action(arguments, {"envy-platform": platform_tag}, outputs)


def named_action(
    arguments: Sequence[str], properties: Mapping[str, str], outputs: Iterable[str]
) -> tuple[bytes, bytes]:
    """Return an action that nobody executes, whose digest is a name, and its command."""
    platform = reapi.Platform(
        properties=[
            reapi.Platform.Property(name=name, value=value)
            for name, value in sorted(properties.items())
        ]
    )
    command = encoded(
        reapi.Command(arguments=arguments, output_paths=sorted(outputs), platform=platform)
    )
    action = encoded(
        reapi.Action(
            command_digest=digest_of(command),
            input_root_digest=digest_of(NO_FOLDER),
            platform=platform,
        )
    )
    return action, command
