"""The actions of the functions of `ctx` and of the scripts of a recipe."""

import dataclasses
from typing import ClassVar

from envy.events.base import WITHIN, Event, event
from envy.phase import RecipePhase


@event
class LuaCtxRunStart(Event):
    text: ClassVar[str] = "{recipe}: $ {command}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    command: str
    cwd: str


@event
class LuaCtxRunComplete(Event):
    text: ClassVar[str] = "{recipe}: exited {exit_code} after {duration_ms} ms: {command}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    command: str
    cwd: str
    exit_code: int
    duration_ms: int


@event
class LuaCtxFetchStart(Event):
    text: ClassVar[str] = "{recipe}: fetching {url}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    url: str
    destination: str


@event
class LuaCtxFetchComplete(Event):
    text: ClassVar[str] = "{recipe}: fetched {url} ({bytes_downloaded} bytes, {duration_ms} ms)"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    url: str
    destination: str
    bytes_downloaded: int
    duration_ms: int


@event
class LuaCtxExtractStart(Event):
    text: ClassVar[str] = "{recipe}: extracting {archive_path}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    archive_path: str
    destination: str


@event
class LuaCtxExtractComplete(Event):
    text: ClassVar[str] = "{recipe}: {files_extracted} files from {archive_path}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    archive_path: str
    destination: str
    files_extracted: int
    duration_ms: int


@event
class LuaCtxAssetAccess(Event):
    text: ClassVar[str] = "{recipe}: ctx.asset({target}) → {provider}: {reason}"
    recipe: str
    target: str
    provider: str
    current_phase: RecipePhase
    needed_by: RecipePhase
    allowed: bool
    reason: str


@event
class LuaCtxProductAccess(Event):
    text: ClassVar[str] = "{recipe}: ctx.product({product}) → {provider}: {reason}"
    recipe: str
    product: str
    provider: str
    current_phase: RecipePhase
    needed_by: RecipePhase
    allowed: bool
    reason: str


@event
class DownloadProgress(Event):
    text: ClassVar[str] = "{recipe}: {bytes} of {total} bytes of {url}"
    in_files: ClassVar[bool] = False
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    url: str
    bytes: int
    total: int  # 0 if the server sent no size


@event
class FilesProgress(Event):
    """Files have been unpacked or hashed; `action` is unpacking or hashing."""

    text: ClassVar[str] = "{recipe}: {action} {files} of {total} files"
    in_files: ClassVar[bool] = False
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    action: str
    files: int
    total: int  # 0 if it is not known: a tar has no list of its members


@event
class ScriptExecuted(Event):
    """A server has run a script, or answered with a former success (`cached`)."""

    text: ClassVar[str] = "{recipe}: {phase} ran on {server} in {duration_ms} ms: exit {exit_code}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    phase: RecipePhase
    server: str
    exit_code: int
    cached: bool
    duration_ms: int


@event
class ScriptKeptHere(Event):
    """A phase of a recipe with `remote` runs here, although a server runs scripts."""

    text: ClassVar[str] = "{recipe}: {phase} runs here: {reason}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    phase: RecipePhase
    reason: str
