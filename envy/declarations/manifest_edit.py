"""Proved edits of a manifest: the edited text means what the old one did, except for the edit.

Owns the proof. `manifest_text` proposes a text; Lua loads the old and the new text as manifests, on
the host and on each of `PLATFORMS`; and exactly the intended fields of the intended entries differ.
Otherwise nothing is written, and the error shows what to write by hand.

A function counts as the same function if it is in the same place: the edit touches no other text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from envy.declarations.locations import SourceText, shown_path
from envy.declarations.manifest import FIELDS, load_manifest, read_manifest
from envy.declarations.manifest_text import (
    entry_text,
    insert_element,
    is_listed,
    remove_element,
    set_field,
)
from envy.declarations.option_text import OptionValue
from envy.errors import EnvyError, ManifestError, SourceLocation
from envy.host.platform import Platform, host_platform
from envy.lua.quiet_state import quiet_state
from envy.lua.runtime import LuaState
from envy.lua.values import LuaFunction, LuaOpaque
from envy.masking import remember

PLATFORMS = (
    Platform(os="linux", arch="x86_64", libc="gnu"),
    Platform(os="linux", arch="arm64", libc="gnu"),
    Platform(os="darwin", arch="x86_64"),
    Platform(os="darwin", arch="arm64"),
    Platform(os="windows", arch="x86_64"),
)

Entry: TypeAlias = str | Mapping[str, OptionValue]
Values: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Insertion:
    """A new entry of `packages`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Removal:
    """The entry at an index (from 0) of `packages`, as the host lists them, is removed."""

    index: int


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Fields of the entry at an index of a table get other values; None removes a field.

    A field is named by the path that leads to it: ("options", "version"), say. The table is
    `packages` or `bundles`.
    """

    index: int
    fields: Mapping[tuple[str, ...], OptionValue | None]
    table: str = "packages"


Edit: TypeAlias = Insertion | Removal | FieldChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """A manifest's path, its content, and what Lua made of it on each platform.

    The host is the first platform. On another one, None means that the manifest is not valid there.
    """

    path: Path
    content: bytes
    values: Mapping[Platform, Values | None]

    @property
    def text(self) -> str:
        """The content with its line ends."""
        return self.content.decode("utf-8", "surrogateescape")

    @property
    def entries(self) -> Sequence[object]:
        """The entries of `packages` on the host, also those for other platforms."""
        return self.listed("packages")

    def listed(self, table: str) -> Sequence[object]:
        """Return the entries of `packages` or `bundles` on the host."""
        host = next(iter(self.values))
        return _elements(self.values[host] or {}, table) or []

    @property
    def elsewhere(self) -> Sequence[object]:
        """The entries of `packages` that only other platforms list."""
        found: list[object] = []
        for values in self.values.values():
            own = _elements(values or {}, "packages") or []
            found += [entry for entry in own if entry not in self.entries and entry not in found]
        return found

    def at(self, index: int, table: str = "packages") -> SourceLocation:
        """Return where an entry is written."""
        found = SourceText(self.path, self.text).at(table, length=len(self.listed(table)))
        return SourceLocation(found.path, found.at_element(index).line)


def open_manifest(
    path: Path, environment: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS
) -> ManifestFile:
    """Read a manifest that is to be edited, and load it on the host and on these platforms.

    Raises:
        ManifestError, DeclarationError, LuaScriptError: it is not valid.
    """
    content = read_manifest(path)
    values: dict[Platform, Values | None] = {}
    for platform in _with_host(platforms):
        try:
            values[platform] = _load(path, content, platform, environment)
        except EnvyError:
            if not values:
                raise
            values[platform] = None
    return ManifestFile(path=path, content=content, values=values)


def edited(manifest: ManifestFile, edit: Edit, environment: Mapping[str, str]) -> ManifestFile:
    """Return the manifest after an edit that is proved; nothing is written.

    Raises:
        ManifestError: the edit cannot be made safely; it shows what to write by hand.
    """
    new = _proposal(manifest, edit)
    if new is None:
        raise _by_hand(manifest, edit, _why_not(manifest, edit))
    content = new.encode("utf-8", "surrogateescape")
    values: dict[Platform, Values | None] = {}
    for platform, before in manifest.values.items():
        if before is None:
            values[platform] = None  # this platform is not one of the project's
            continue
        try:
            after = _load(manifest.path, content, platform, environment)
        except EnvyError as error:
            raise _by_hand(manifest, edit, f"the result is not valid: {error.message}") from error
        entries = manifest.listed(_table_of(edit))
        if not _differ_by(edit, before, after, entries, is_host=not values):
            raise _by_hand(manifest, edit, f"more than this entry would change on {platform.tag}")
        values[platform] = after
    return ManifestFile(path=manifest.path, content=content, values=values)


# -- the proposal --------------------------------------------------------------------------------


def _proposal(manifest: ManifestFile, edit: Edit) -> str | None:
    text: str | None = manifest.text
    match edit:
        case Insertion(entry):
            return insert_element(manifest.text, _value(entry))
        case Removal(index):
            return remove_element(manifest.text, index)
        case FieldChange(index, fields, table):
            for path, value in fields.items():
                text = text and set_field(text, index, path, value, table=table)
    return text


def _why_not(manifest: ManifestFile, edit: Edit) -> str:
    """Return why there is no proposal."""
    table = _table_of(edit)
    if isinstance(edit, FieldChange) and is_listed(manifest.text, edit.index, table):
        return "its value is computed"
    return f"`{table}` is not one table that lists its entries"


def _table_of(edit: Edit) -> str:
    return edit.table if isinstance(edit, FieldChange) else "packages"


def _value(entry: Entry) -> OptionValue:
    return entry if isinstance(entry, str) else dict(entry)


def _by_hand(manifest: ManifestFile, edit: Edit, reason: str) -> ManifestError:
    """Return the error that says what to write."""
    shown = shown_path(manifest.path)
    match edit:
        case Insertion(entry):
            what = f"envy cannot add this entry: {reason}"
            hint = f"add it to `packages` in {shown} yourself:\n    {entry_text(entry)},"
            origin = SourceText(manifest.path, manifest.text).at("packages")
            return ManifestError(what, origin=SourceLocation(shown, origin.line), hint=hint)
        case Removal(index):
            what = f"envy cannot remove this entry: {reason}"
            row = _shown(manifest.entries[index])
            hint = f"remove it from `packages` yourself:\n    {row}"
        case FieldChange(index, fields):
            what = f"envy cannot change this entry: {reason}"
            row = _shown(_changed(manifest.listed(edit.table)[index], fields))
            hint = f"write it yourself:\n    {row},"
    return ManifestError(what, origin=manifest.at(index, _table_of(edit)), hint=hint)


def _shown(entry: object) -> str:
    try:
        return entry_text(entry)  # type: ignore[arg-type]
    except EnvyError:  # it has a function
        return f"the entry of {identity_of(entry)}"


# -- the proof -----------------------------------------------------------------------------------


def identity_of(entry: object) -> str:
    """Return the identity of an entry; "" if it has none."""
    recipe = entry.get("recipe") if isinstance(entry, dict) else entry
    return recipe if isinstance(recipe, str) else ""


def _name_of(entry: object) -> str:
    """Return what names an entry: its identity, or the source of a bundle."""
    source = entry.get("source") if isinstance(entry, dict) else None
    return identity_of(entry) or str(source)


def _with_host(platforms: Sequence[Platform]) -> Iterator[Platform]:
    host = host_platform()
    yield host
    for platform in platforms:
        if (platform.os, platform.arch, platform.libc) != (host.os, host.arch, host.libc):
            yield platform


def _differ_by(
    edit: Edit, before: Values, after: Values, entries: Sequence[object], *, is_host: bool
) -> bool:
    """Return whether an edit is all that two manifests differ by; `entries` are the host's."""
    table = _table_of(edit)
    for name in FIELDS - {table}:
        if not _same(before.get(name), after.get(name)):
            return False
    old, new = _elements(before, table), _elements(after, table)
    if old is None or new is None:
        return False
    match edit:
        case Insertion(entry):
            return _is_inserted(old, new, _value(entry))
        case Removal(index):
            return _is_removed(old, new, entries[index], index if is_host else None)
        case FieldChange(index, fields):
            changed = lambda entry: _changed(entry, fields)  # noqa: E731
            return _is_changed(old, new, entries[index], changed, index if is_host else None)


def _is_inserted(old: Sequence[object], new: Sequence[object], entry: object) -> bool:
    at = _first_difference(old, new)
    return at < len(new) and _same(new[at], entry) and _same([*new[:at], *new[at + 1 :]], list(old))


def _is_removed(
    old: Sequence[object], new: Sequence[object], entry: object, index: int | None
) -> bool:
    """Return whether the entry is missing, or another one of its recipe on another platform."""
    identity = identity_of(entry)
    if index is None:
        if not any(identity_of(one) == identity for one in old):
            return _same(list(old), list(new))
        index = _first_difference(old, new)
    if index >= len(old) or identity_of(old[index]) != identity:
        return False
    return _same([*old[:index], *old[index + 1 :]], list(new))


def _is_changed(
    old: Sequence[object],
    new: Sequence[object],
    entry: object,
    changed: Callable[[object], object],
    index: int | None,
) -> bool:
    identity = _name_of(entry)
    if index is None:
        index = _first_difference(old, new)
        if index == len(old) == len(new):  # nothing differs
            return not any(
                _name_of(one) == identity and not _same(one, changed(one)) for one in old
            )
    if index >= len(old) or _name_of(old[index]) != identity:
        return False
    return _same([*old[:index], changed(old[index]), *old[index + 1 :]], list(new))


def _changed(entry: object, fields: Mapping[tuple[str, ...], OptionValue | None]) -> object:
    """Return an entry with other values of some fields."""
    for path, value in fields.items():
        entry = _with_value({"recipe": entry} if isinstance(entry, str) else entry, path, value)
    return entry


def _with_value(table: object, path: Sequence[str], value: OptionValue | None) -> object:
    copy = dict(table) if isinstance(table, dict) else {}
    if len(path) > 1:
        if value is not None or path[0] in copy:
            copy[path[0]] = _with_value(copy.get(path[0]), path[1:], value)
    elif value is None:
        copy.pop(path[0], None)
    else:
        copy[path[0]] = value
    return copy


def _first_difference(old: Sequence[object], new: Sequence[object]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if not _same(a, b)), min(len(old), len(new)))


def _same(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, LuaFunction | LuaOpaque):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _elements(values: Values, table: str) -> list[object] | None:
    value = values.get(table)
    if value == {}:
        return []
    return value if isinstance(value, list) else None


def _load(path: Path, content: bytes, platform: Platform, environment: Mapping[str, str]) -> Values:
    """Return the globals of a valid manifest on a platform; what it prints is dropped.

    The variables that it reads are treated as secret: no recipe is loaded that could tell.
    """
    states: list[LuaState] = []

    def make_state(base_dir: Path) -> LuaState:
        states.append(quiet_state(base_dir, environment=environment, platform=platform))
        return states[0]

    try:
        manifest = load_manifest(path, platform=platform, make_state=make_state, content=content)
        return manifest.state.user_globals(FIELDS)
    finally:
        for state in states:
            remember(filter(None, state.reads.variables.values()))
            state.close()
