"""Programs that a server executes, as data: what they need, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envy.cache.layout import EntryPaths
from envy.errors import FetchError
from envy.limits import TEST_RESULT, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAction:
    """A program with all that it needs. Paths are those below the input root, without a slash."""

    argv: Sequence[str]  # the program is relative to `folder`
    folder: str = ""  # in which it runs
    files: Mapping[str, str] = field(default_factory=dict)  # the file here that has the content
    folders: Sequence[str] = ()  # that exist even if they are empty
    links: Mapping[str, str] = field(default_factory=dict)  # their targets
    payloads: Mapping[str, EntryPaths] = field(default_factory=dict)  # the entries, by folder
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: Sequence[str] = ()  # files that it writes, below `folder`
    output_folders: Sequence[str] = ()  # the same, which exist before
    free_links: Sequence[str] = ()  # those of them whose links may lead anywhere
    largest_output: Limit = TEST_RESULT  # of what it prints and of `outputs`, together
    timeout: float = 0.0  # seconds; 0 is the server's own limit
    reads_cache: bool = True  # a former success may be the answer
    ends_at: float | None = None  # of the monotonic clock here; what has not ended has timed out


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """How an action ended. After a signal, the exit code is 128 plus the signal."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    outputs: Mapping[str, bytes] = field(default_factory=dict)
    folders: Mapping[str, bytes] = field(default_factory=dict)  # the messages of their trees
    is_cached: bool = False
    timed_out: bool = False


class NotExecuted(FetchError):
    """A server did not execute an action, or its answer cannot be used."""


class ResultNotUsed(NotExecuted):
    """A server did what it was asked for, and what the program has written cannot be used here."""
