"""What cargo tells in JSON: the members and targets of a workspace, and what it has built."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envy.content.json_text import parse_json
from envy.testing.drivers.projects.project import NotTestable

_TESTED_KINDS = {"bin": "bin", "example": "example", "test": "test", "bench": "bench"}


class CargoFailed(NotTestable):
    """cargo cannot say what there is to test, or is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoTarget:
    """A target of a member that `cargo test` builds: `lib`, `bin`, `example`, `test` or `doc`."""

    kind: str
    name: str
    has_harness: bool = True

    @property
    def label(self) -> str:
        """What follows the member's name in the name of the test package; "" for its library."""
        return {"lib": "", "doc": ":doc"}.get(self.kind, f":{self.kind}:{self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoMember:
    """A package of the workspace."""

    identity: str  # as cargo's messages name it
    name: str
    version: str
    folder: Path
    targets: tuple[CargoTarget, ...]
    fields: Mapping[str, str] = field(default_factory=dict)  # CARGO_PKG_… without the prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoWorkspace:
    """A workspace, or a package that is none's member."""

    root: Path
    target_folder: Path
    members: tuple[CargoMember, ...]
    local: tuple[Path, ...] = ()  # folders of packages elsewhere that it is built from


@dataclass(slots=True)
class CargoBuild:
    """The outcome of `cargo test --no-run`, by target: (identity, kind, name)."""

    executables: dict[tuple[str, str, str], Path] = field(default_factory=dict)
    messages: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    failed: set[tuple[str, str, str]] = field(default_factory=set)  # that have an error
    variables: dict[str, dict[str, str]] = field(default_factory=dict)  # of build scripts
    library_folders: list[str] = field(default_factory=list)
    succeeded: bool = False

    def add(self, other: CargoBuild) -> None:
        """Add the outcome of another call, for other targets."""
        self.executables |= other.executables
        self.failed |= other.failed
        self.messages = other.messages | self.messages
        for identity, values in other.variables.items():
            self.variables.setdefault(identity, {}).update(values)
        self.library_folders += other.library_folders


def parse_metadata(text: str) -> CargoWorkspace:
    """Return the workspace that `cargo metadata` describes.

    Raises:
        CargoFailed: The text is not of that form.
    """
    try:
        row = parse_json(text)
        members = set(row["workspace_members"])
        packages = [package for package in row["packages"] if package["id"] in members]
        local = [
            Path(package["manifest_path"]).parent
            for package in row["packages"]
            if package["id"] not in members and package.get("source") is None
        ]
        return CargoWorkspace(
            root=Path(row["workspace_root"]),
            target_folder=Path(row["target_directory"]),
            members=tuple(_member(package) for package in packages),
            local=tuple(local),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CargoFailed(
            f"`cargo metadata` answered in an unknown form: {error}",
            hint="`envy test` needs cargo 1.56 or later",
        ) from error


def _member(row: Mapping[str, Any]) -> CargoMember:
    manifest = Path(row["manifest_path"])
    without = _without_harness(manifest)
    targets: list[CargoTarget] = []
    for target in row["targets"]:
        kind = _kind(target["kind"])
        if kind is None:
            continue
        name = str(target["name"])
        if target.get("test", kind != "example"):
            harness = (kind, "" if kind == "lib" else name) not in without
            targets.append(CargoTarget(kind=kind, name=name, has_harness=harness))
        if kind == "lib" and target.get("doctest"):
            targets.append(CargoTarget(kind="doc", name=name))
    return CargoMember(
        identity=str(row["id"]),
        name=str(row["name"]),
        version=str(row["version"]),
        folder=manifest.parent,
        targets=tuple(targets),
        fields=_fields(row),
    )


def _kind(kinds: Sequence[str]) -> str | None:
    """Return the kind of a target; every sort of library, procedural macros too, is `lib`."""
    for kind in kinds:
        if kind in _TESTED_KINDS:
            return _TESTED_KINDS[kind]
    return None if "custom-build" in kinds else "lib"


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    version = str(row["version"]).partition("+")[0]
    core, _, pre = version.partition("-")
    parts = [*core.split("."), "", "", ""]
    texts = {
        "NAME": row["name"],
        "VERSION": row["version"],
        "VERSION_MAJOR": parts[0],
        "VERSION_MINOR": parts[1],
        "VERSION_PATCH": parts[2],
        "VERSION_PRE": pre,
        "AUTHORS": ":".join(row.get("authors") or ()),
        "DESCRIPTION": row.get("description"),
        "HOMEPAGE": row.get("homepage"),
        "REPOSITORY": row.get("repository"),
        "LICENSE": row.get("license"),
        "LICENSE_FILE": row.get("license_file"),
        "README": row.get("readme"),
        "RUST_VERSION": row.get("rust_version"),
    }
    return {name: str(text or "") for name, text in texts.items()}


def _without_harness(manifest: Path) -> set[tuple[str, str]]:
    """Return the targets with `harness = false`, which cargo does not tell, as (kind, name)."""
    try:
        row = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # cargo reports it
        return set()
    found = set()
    for kind in ("lib", *_TESTED_KINDS):
        tables = row.get(kind)
        for table in tables if isinstance(tables, list) else [tables]:
            if isinstance(table, dict) and table.get("harness") is False:
                found.add((kind, "" if kind == "lib" else str(table.get("name", ""))))
    return found


def parse_build(text: str) -> CargoBuild:
    """Return what the messages of `cargo test --no-run` tell; lines that are none are left out."""
    build = CargoBuild()
    for row in _rows(text):
        try:
            _take(build, row)
        except (KeyError, TypeError, AttributeError, ValueError):
            continue
    return build


def _rows(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        if not line.startswith("{"):  # a build script or a macro may print anything
            continue
        try:
            row = parse_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _take(build: CargoBuild, row: Mapping[str, Any]) -> None:
    reason = row["reason"]
    if reason == "build-finished":
        build.succeeded = row["success"] is True
    elif reason == "build-script-executed":
        values = {str(name): str(value) for name, value in row.get("env", ())}
        if row.get("out_dir"):
            values["OUT_DIR"] = str(row["out_dir"])
        build.variables.setdefault(row["package_id"], {}).update(values)
        build.library_folders += [
            str(path).rpartition("=")[2] for path in row.get("linked_paths", ())
        ]  # fmt: skip
    elif reason == "compiler-message":
        target = _target_of(row)
        message = row["message"]
        texts = build.messages.setdefault(target, [])
        rendered = str(message.get("rendered") or message["message"])
        if rendered not in texts:  # of a library and of its tests
            texts.append(rendered)
        if message["level"] in {"error", "error: internal compiler error"}:
            build.failed.add(target)
    elif reason == "compiler-artifact" and row["profile"]["test"] and row["executable"]:
        build.executables[_target_of(row)] = Path(row["executable"])


def _target_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    target = row["target"]
    return str(row["package_id"]), _kind(target["kind"]) or "build", str(target["name"])
