"""What the words of `envy add` ask for: entries of `packages`.

Owns the kinds of words (a shipped recipe, a recipe of the project, a path, a URL), the reading of a
recipe from elsewhere, and what becomes of an entry that is there already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envy.cli.bundled import bundled_tool
from envy.cli.edits import listed, option_of, package_of, shown_key
from envy.cli.fetch_context import command_context
from envy.cli.settings import Settings
from envy.content.plain_file import NotPlain, read_plain
from envy.content.scratch import scratch_folder
from envy.declarations.key import validate_identity
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import (
    Edit,
    FieldChange,
    Insertion,
    ManifestFile,
    identity_of,
)
from envy.declarations.option_text import OptionValue
from envy.declarations.sources import Scheme, parse_source_item, scheme_of
from envy.declarations.tool_name import NamedTool, named_tool
from envy.declarations.versions import nearest_versions
from envy.errors import EnvyError, LuaScriptError
from envy.limits import LUA_MEMORY
from envy.lua.quiet_state import quiet_state
from envy.masking import remember_address
from envy.transport import fetch_source
from envy.transport.addresses import redacted
from envy.transport.registry_search import npm_versions, python_versions

_LOCAL = re.compile(r"local\.[\w.+-]+@[\w.+-]+", re.ASCII)
_VERSION = ("options", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedEntry:
    """An entry that a word asks for; `tool` is the shipped recipe that the word names, if any.

    `version` is the one that the word names, or "": the entry may have the newest instead.
    """

    word: str
    entry: str | dict[str, OptionValue]
    tool: NamedTool | None = None
    version: str = ""

    @property
    def identity(self) -> str:
        """The identity of the recipe."""
        return identity_of(self.entry)

    @property
    def name(self) -> str:
        """The identity, with the package of a registry: what is named only once."""
        package = self.tool.package if self.tool is not None else ""
        return f"{self.identity} {package}" if package else self.identity


def requested_entry(word: str, folder: Path, settings: Settings) -> RequestedEntry:
    """Return the entry that a word asks for; a recipe at a URL is fetched and read.

    Raises:
        EnvyError: the word names no recipe, or one that cannot be fetched or read.
    """
    if _LOCAL.fullmatch(word):
        path = folder / "recipes" / f"{word}.lua"
        if not path.is_file():
            raise EnvyError(f"{word} has no recipe: there is no file {shown_path(path)}")
        return RequestedEntry(word=word, entry=word)
    if word.startswith(("pypi:", "npm:")) or not _is_place(word):
        tool = bundled_tool(word, settings) or named_tool(word, command="add")
        version = tool.version
        if tool.package:
            tool = _with_release(tool, word, folder, settings)
        return RequestedEntry(word=word, entry=tool.entry(), tool=tool, version=version)
    scheme = scheme_of(word)
    if scheme is Scheme.GIT:
        raise EnvyError(
            f"{word} is a repository, and `envy add` takes the URL of one recipe file",
            hint="write an entry with `recipe`, `source`, `ref` and `subdir` into `packages`",
        )
    if scheme is Scheme.LOCAL:
        return _of_path(word, folder, settings.environment)
    return _of_url(word, folder, settings)


def _with_release(tool: NamedTool, word: str, folder: Path, settings: Settings) -> NamedTool:
    """Return a package of a registry with the version to write: the newest, if none was named.

    Raises:
        EnvyError: the registry has no such package, or not this version.
    """
    context = command_context(settings.environment, offline=settings.offline)
    if word.startswith("pypi:"):
        versions = python_versions(tool.package, context)
    else:
        versions = npm_versions(tool.package, folder, context)
    if not tool.version:
        return replace(tool, version=versions[0])
    if tool.version not in versions:
        near = ", ".join(nearest_versions(tool.version, versions))
        raise EnvyError(f"{word}: there is no such version", hint=f"the nearest: {near}")
    return tool


def _is_place(word: str) -> bool:
    return "/" in word or word.endswith(".lua") or ":" in word


def _of_path(word: str, folder: Path, environment: Mapping[str, str]) -> RequestedEntry:
    path = Path(word).absolute()
    identity = _identity_in(path, shown=word, environment=environment)
    source = Path(os.path.relpath(path, folder)).as_posix()
    if _LOCAL.fullmatch(identity) and source == f"recipes/{identity}.lua":
        return RequestedEntry(word=word, entry=identity)
    return RequestedEntry(word=word, entry={"recipe": identity, "source": source})


def _of_url(word: str, folder: Path, settings: Settings) -> RequestedEntry:
    remember_address(word)
    item = parse_source_item({"source": word}, origin=None, base_dir=folder)
    with scratch_folder("add") as scratch:
        context = command_context(settings.environment, offline=settings.offline)
        fetched = fetch_source(item, scratch, context)
        if not fetched.sha256:
            raise EnvyError(f"{redacted(word)} is a folder, not a recipe file")
        identity = _identity_in(
            fetched.path, shown=redacted(word), environment=settings.environment
        )
    entry: dict[str, OptionValue] = {
        "recipe": identity,
        "source": word,
        "sha256": fetched.sha256,
    }
    return RequestedEntry(word=word, entry=entry)


def has_credentials(request: RequestedEntry) -> bool:
    """Return whether the entry has an address with user info or a secret parameter."""
    source = request.entry.get("source") if isinstance(request.entry, dict) else None
    return isinstance(source, str) and source == request.word and redacted(source) != source


def _identity_in(path: Path, *, shown: str, environment: Mapping[str, str]) -> str:
    """Return the identity of a recipe file.

    Raises:
        EnvyError: it is not a recipe file.
    """
    state = quiet_state(path.parent, environment=environment)
    try:
        state.load_file(path, read_plain(str(path), LUA_MEMORY))
        identity = state.user_globals({"identity"}).get("identity")
    except LuaScriptError as error:
        line = f", line {error.frames[0].line}" if error.frames else ""
        raise _no_recipe(shown, f"{error.message}{line}") from error
    except OSError as error:
        raise _no_recipe(shown, error.strerror or str(error)) from error
    except NotPlain as error:
        raise _no_recipe(shown, f"the file {error}") from error
    finally:
        state.close()
    if not isinstance(identity, str):
        raise _no_recipe(shown, "it has no `identity`")
    validate_identity(identity)
    return identity


def _no_recipe(shown: str, reason: str) -> EnvyError:
    return EnvyError(
        f"{shown} is not a recipe file: {reason}",
        hint='a recipe is a Lua file with an identity, such as identity = "acme.tool@r1"',
    )


# -- what is there already -----------------------------------------------------------------------


def edit_for(wanted: RequestedEntry, manifest: ManifestFile) -> tuple[Edit | None, int | None]:
    """Return the edit that a request needs, and the index of the entry that is there already.

    Raises:
        EnvyError: it is not clear which entry is to be changed.
    """
    package = package_of(wanted.entry)
    there = [
        i
        for i, entry in enumerate(manifest.entries)
        if identity_of(entry) == wanted.identity and package_of(entry) == package
    ]
    if not there:
        return Insertion(wanted.entry), None
    if wanted.tool is None:
        return _edit_for_source(wanted, manifest, there)
    version = wanted.version
    # An entry without a version takes the default, which may be another one tomorrow.
    fitting = [
        i for i in there if not version or option_of(manifest.entries[i], "version") == version
    ]
    if fitting:
        return None, fitting[0]
    if len(there) > 1:
        raise EnvyError(
            f"{manifest.at(there[0]).path} has {len(there)} entries of {wanted.identity}, none "
            f"with version {version}:{listed(manifest, there)}",
            hint="change one of them yourself, or remove one: envy remove QUERY",
        )
    return FieldChange(there[0], {_VERSION: version}), there[0]


def _edit_for_source(
    wanted: RequestedEntry, manifest: ManifestFile, there: list[int]
) -> tuple[Edit | None, int | None]:
    asked = wanted.entry if isinstance(wanted.entry, dict) else {}
    found = manifest.entries[there[0]]
    entry = found if isinstance(found, dict) else {}
    if entry.get("source") != asked.get("source"):
        raise EnvyError(
            f"{shown_key(found)} comes from elsewhere, in {manifest.at(there[0])}",
            hint=f"remove it first: envy remove {wanted.identity}",
        )
    if entry.get("sha256", "") == asked.get("sha256", ""):
        return None, there[0]
    return FieldChange(there[0], {("sha256",): asked["sha256"]}), there[0]
