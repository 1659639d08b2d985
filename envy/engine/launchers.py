"""Writing the launchers of a project, and its folder `.envy`.

Only files that this module wrote are replaced or removed. What cannot be written is a warning: a
launcher that is missing or old leaves its work to `envy run`.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.answers.cmake_text import cmake_text
from envy.answers.launcher_state import (
    ABSENT,
    FOLDER,
    IN_THE_WAY,
    STAMP,
    WRITTEN,
    digest_of,
    state_of,
    written_text,
)
from envy.answers.launcher_text import (
    Launch,
    LauncherCache,
    launcher_head,
    launcher_text,
    stamp_text,
)
from envy.answers.machine_programs import LAUNCHER_HEAD
from envy.content.atomic import atomic_write, written_file
from envy.os_errors import os_error_text

_LINKS = f"{FOLDER}/packages"
_NAMES = f"{FOLDER}/names"  # for completions
_JSON = f"{FOLDER}/env.json"
_CMAKE = f"{FOLDER}/envy.cmake"
_IGNORE = f"{FOLDER}/.gitignore"
_OWN = (STAMP, WRITTEN, _JSON, _CMAKE, f"{FOLDER}/envy", _NAMES, _IGNORE)
_PRIVATE = 0o600  # variables may be secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Launchers:
    """What a sync writes: `folder` is relative to the project, "" without launchers.

    `names` are those of programs, `links` the folders of packages by name, `dotenv` is the file
    with variables, if any, and `started` when the sync began, in nanoseconds. Without `launch`,
    every program is left to `envy run`.
    """

    folder: str
    manifest: Path
    names: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    launch: Launch | None = None
    cache: LauncherCache = field(default_factory=LauncherCache)
    dotenv: str = ""
    root: str = ""
    started: int = 0


def write_launchers(wanted: Launchers, warn: Callable[[str], None]) -> None:
    """Write the launchers of a project, and remove those that it no longer has.

    `warn` is called with a sentence for each file that is in the way or cannot be written.
    """
    project = wanted.manifest.parent
    try:
        _remove_former(wanted, project)
        if not wanted.folder:
            return
        if os.name == "nt":
            warn("launchers are not available on Windows: use envy run -- PROGRAM")
            return
        _check_folders(wanted, project)
        paths, foreign = _write_scripts(wanted, project, warn)
        _write_own(wanted, project, paths, foreign)
    except _InTheWayError as problem:
        warn(str(problem))
    except OSError as error:
        warn(f"the launchers cannot be written: {os_error_text(error)}")


class _InTheWayError(Exception):
    """A file or a link where a folder of envy belongs."""


def _check_folders(wanted: Launchers, project: Path) -> None:
    for name in (wanted.folder, FOLDER, _LINKS):
        path = project
        for part in name.split("/"):
            path /= part
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(path.lstat().st_mode):
                    raise _InTheWayError(
                        f"{path} is not a folder of its own, so no launchers are written; move it "
                        "away, or change `launchers` in the manifest"
                    )


def _write_scripts(
    wanted: Launchers, project: Path, warn: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """Write a launcher for each name, and remove others; return their paths, and those in the way.

    A foreign file in the way is named in a warning.
    """
    folder = project / wanted.folder
    folder.mkdir(parents=True, exist_ok=True)
    head = launcher_head(wanted.folder, wanted.manifest.name)
    paths, foreign = [], []
    for name in wanted.names:
        path = folder / name
        data = launcher_text(name, wanted.folder, wanted.manifest.name).encode(
            "utf-8", "surrogateescape"
        )
        if os.path.lexists(path) and not _is_own(path, head):
            warn(
                f"{path} is not a launcher of this project, so it was left as it is; move it away, "
                f"or run the program with: envy run {name}"
            )
            foreign.append(str(path))
            continue
        if not path.exists() or path.read_bytes() != data or not os.access(path, os.X_OK):
            atomic_write(str(path), data, mode=0o755)
        paths.append(str(path))
    _remove_scripts(folder, head, keep=wanted.names)
    return paths, foreign


def _remove_scripts(folder: Path, head: str, *, keep: Sequence[str] = ()) -> None:
    for path in folder.iterdir():
        if path.name not in keep and _is_own(path, head):
            path.unlink()


def _is_own(path: Path, head: str) -> bool:
    """Return whether a file is a launcher of this project, of this or another version."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("rb") as file:
                expected = f"{head}\n".encode()
                return file.read(len(expected)) == expected
    return False


def _write_own(wanted: Launchers, project: Path, paths: list[str], foreign: Sequence[str]) -> None:
    """Write the folder `.envy`; the stamp comes last but for the record of what was written."""
    stamp, launch = project / STAMP, wanted.launch or Launch()
    (project / _LINKS).mkdir(parents=True, exist_ok=True)
    _write(project / _IGNORE, "*\n", 0o644)
    _write(project / _JSON, _json(launch), _PRIVATE)
    _write(project / _CMAKE, cmake_text(wanted.launch, str(stamp)), _PRIVATE)
    links = {_LINKS + "/" + name: target for name, target in wanted.links.items()}
    program = Path(sys.executable).with_name("envy")
    if program.exists():
        links[f"{FOLDER}/envy"] = str(program)
    for path in (project / _LINKS).iterdir():
        if path.is_symlink() and path.name not in wanted.links:
            path.unlink()
    rows = [("program", wanted.names), ("package", sorted(wanted.links))]
    lines = [f"{kind} {name}\n" for kind, names in rows for name in names if "\n" not in name]
    _write(project / _NAMES, "".join(lines), 0o644)
    for name, target in links.items():
        paths.append(_link(project / name, target))
    with written_file(str(stamp)) as new:
        _write(Path(new), stamp_text(str(stamp), launch, wanted.cache), _PRIVATE)
        os.utime(new, ns=(wanted.started, wanted.started))
    paths += [str(project / name) for name in (STAMP, _NAMES, _JSON, _CMAKE, _IGNORE)]
    states = {path: digest_of(path) for path in paths} | dict.fromkeys(foreign, IN_THE_WAY)
    if wanted.dotenv:
        is_absent = wanted.dotenv in launch.absent  # as it was when it was read
        states[wanted.dotenv] = ABSENT if is_absent else state_of(wanted.dotenv)
    text = written_text(wanted.root, wanted.cache.variable, launch.files, states)
    _write(project / WRITTEN, text, _PRIVATE)


def _write(path: Path, text: str, mode: int) -> None:
    atomic_write(str(path), text.encode("utf-8", "surrogateescape"), mode=mode)


def _link(path: Path, target: str) -> str:
    if not (path.is_symlink() and str(path.readlink()) == target):
        with written_file(str(path)) as new:
            Path(new).symlink_to(target)
    return str(path)


def _json(launch: Launch) -> str:
    document = {
        "variables": dict(launch.variables),
        "folders": {name: list(folders) for name, folders in launch.folders.items()},
        "programs": dict(launch.programs),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _remove_former(wanted: Launchers, project: Path) -> None:
    """Remove the launchers of a folder that the manifest no longer names, and `.envy` with them."""
    record = project / WRITTEN
    if not record.is_file() or (project / FOLDER).is_symlink():
        return
    head = LAUNCHER_HEAD.decode("ascii")
    rows = os.fsdecode(record.read_bytes()).split("\0")
    for text, following in zip(rows, [*rows[1:], ""], strict=True):
        path = Path(text)
        is_ours = text.startswith(f"{project}/") and following != IN_THE_WAY
        if not is_ours or path.parent == project / wanted.folder:
            continue
        if path.parent not in {project / FOLDER, project / _LINKS} and _is_launcher(path, head):
            path.unlink()
            with contextlib.suppress(OSError):
                path.parent.rmdir()
    if wanted.folder:
        return
    for path in [*(project / _LINKS).glob("*"), *(project / name for name in _OWN)]:
        if path.is_symlink() or path.parent.name == FOLDER:
            path.unlink(missing_ok=True)
    for name in (_LINKS, FOLDER):
        with contextlib.suppress(OSError):
            (project / name).rmdir()


def _is_launcher(path: Path, head: str) -> bool:
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("rb") as file:
                return file.read(len(head)) == head.encode("ascii")
    return False
