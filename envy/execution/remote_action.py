"""A script of a recipe as an action: what it needs, at the paths that it has here.

The input root is the root of all paths for the script, so that every path is the same as here: the
folders of its entry, the payloads of its dependencies, its `inputs`, and those programs of the
machine that it may rely on, with their libraries. What the script writes holds the same paths then
as if it had run here. A script that finds another root does nothing.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envy.answers.machine_programs import find_program
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FETCH, STAGE, TMP
from envy.cache.padding import padded_root
from envy.cache.trees import DIRECTORY, FILE, LINK, members
from envy.content.folder_walk import walk
from envy.errors import CacheError
from envy.execution.phase_run import PhaseRun
from envy.execution.script_environment import is_for_this_machine
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.graph.remote_verbs import dependencies_by
from envy.host.failed_line import STARTUP, LineRecorder, recorder_at
from envy.host.loaded_libraries import LibrariesUnknown, loaded_libraries
from envy.host.shell import Shell
from envy.limits import SCRIPT_LOG
from envy.masking import masked
from envy.phase import RecipePhase
from envy.sharing.actions import RemoteAction

BEGAN = f"{TMP}/envy-began"
FAILED_LINE = f"{TMP}/envy-failed-line"
_HOOK = f"{TMP}/envy-failed-line.bash"  # also shows that the input root is the root of all paths
_SCRIPT = f"{TMP}/envy-script"
_SH = "/bin/sh"
_ENV = "/usr/bin/env"  # of scripts; zig looks at it to find out which C library the machine has
_OF_SANDBOXES = frozenset({"dev", "proc", "sys"})
_LONGEST_ARGUMENT = 100_000  # bytes
_MOST_PROGRAMS = 500  # of dependencies, whose libraries are looked up
_STARTS = '[ -f "$1" ] && cd "$2" || exit 125; shift 2; : >"$0"; exec "$@"'


class RunsHere(Exception):
    """A script runs on this machine; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """An action, and who knows which line of the script failed."""

    action: RemoteAction
    recorder: LineRecorder


def needed_by(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> list[Recipe]:
    """Return the packages that a script may use."""
    graph = engine.graph
    return dependencies_by(recipe, phase, graph.edges, lambda key: graph.recipes[key])


def script_action(run: PhaseRun, script: str, shell: Shell) -> ScriptAction:
    """Return the action of a script.

    Raises:
        RunsHere: it cannot be one.
    """
    recipe, phase = run.recipe, run.phase
    entry = recipe.placement.entry
    inputs = _Inputs(run)
    # Before the folders are read: this writes files for gcc.
    variables = _variables(run)
    text = shell.prologue + script + shell.epilogue
    _check_secrets(text)  # it may be sent as a file
    words = shell.inline or shell.file
    program = find_program(words[0], variables)
    if program is None:
        raise RunsHere(f"there is no {words[0]} on this machine")
    if shell.inline and len(os.fsencode(text)) <= _LONGEST_ARGUMENT:
        argv = (program, *words[1:], text)
    elif shell.file:
        path = _written(script_file(entry, shell), text)
        argv = (program, *shell.file[1:], path)
    else:
        raise RunsHere(f"the script is too long for an argument of {shell.name}")
    recorder = recorder_at(Path(entry.at(FAILED_LINE)), argv, text, variables)
    inputs.add_everything(program)
    if recorder.variables:
        variables |= {**recorder.variables, "BASH_ENV": entry.at(_HOOK)}
    variables["PATH"] = inputs.path_within(variables.get("PATH", ""))
    for value in (*argv, *variables.values()):
        _check_secrets(value)
        _check_name(value, "its script or a variable")
    folder = entry.location.lstrip("/")
    sh = "../" * (folder.count("/") + 1) + _SH.lstrip("/")
    run_dir = str(run.seen(run.run_dir))
    action = RemoteAction(
        argv=[sh, "-c", _STARTS, entry.at(BEGAN), entry.at(_HOOK), run_dir, *argv],
        folder=folder,
        files=inputs.files,
        folders=inputs.folders,
        links=inputs.links,
        payloads=inputs.payloads,
        environment=variables,
        outputs=[BEGAN, FAILED_LINE],
        # Nothing reads the stage folder after install.
        output_folders=[ASSET] if phase is RecipePhase.INSTALL else [ASSET, STAGE],
        # What they lead to is judged when the package is published, as after a build here.
        free_links=[STAGE],
        largest_output=SCRIPT_LOG,
    )
    return ScriptAction(action, recorder)


def script_file(entry: EntryPaths, shell: Shell) -> str:
    """Return the path of a script that is no argument of its shell."""
    return entry.at(_SCRIPT) + shell.extension


def _check_secrets(text: str) -> None:
    if masked(text) != text:
        raise RunsHere("a secret that envy knows is in its script or its variables")


def _written(path: str, text: str) -> str:
    try:
        Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise RunsHere(f"{path} cannot be written: {error.strerror}") from error
    return path


def _variables(run: PhaseRun) -> dict[str, str]:
    """Return the variables of a script without those that belong to this machine or its user."""
    found = {**run.environment, **run.compiler_variables()}
    found = {name: text for name, text in found.items() if not is_for_this_machine(name)}
    return {**found, "HOME": found["TMPDIR"], "TERM": "dumb"}


def _check_name(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RunsHere(f"{what} is not UTF-8: {text[:200]!a}") from None


@dataclass(slots=True)
class _Inputs:
    """The files of an action, by their paths without the first slash."""

    run: PhaseRun
    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=lambda: ["tmp"])
    links: dict[str, str] = field(default_factory=dict)
    payloads: dict[str, EntryPaths] = field(default_factory=dict)

    def add_everything(self, shell: str) -> None:
        recipe, engine = self.run.recipe, self.run.engine
        dependencies = needed_by(recipe, engine, self.run.phase)
        for other in dependencies:
            path = str(other.asset_dir)
            self.payloads[path.lstrip("/")] = other.placement.entry
        self._add_entry(recipe.placement.entry)
        if recipe.placement.padded is not None:
            root = recipe.placement.entry.root
            if padded_root(root) != root:
                self.links[padded_root(root).lstrip("/")] = "."
        for path, rules in recipe.placement.inputs.items():
            self._add_input(path, rules)
        self._add_programs(shell, dependencies)
        for path in (*self.folders, *self.files):
            if path.partition("/")[0] in _OF_SANDBOXES:
                raise RunsHere(f"/{path} lies where each sandbox has files of its own")

    def _add_programs(self, shell: str, dependencies: Iterable[Recipe]) -> None:
        run = self.run
        for program in (shell, _SH, *filter(os.path.exists, [_ENV])):
            self._add_program(program)
        for name, _command in run.recipe.loaded.definition.host:
            found = find_program(name, run.engine.services.environment)
            if found is None:
                raise RunsHere(f"there is no {name} on this machine")
            self._add_program(found)
        for program in _programs_of(dependencies):
            self._add_libraries(program, is_needed=False)

    def _add_entry(self, entry: EntryPaths) -> None:
        above = entry.location.lstrip("/")
        for name in (ASSET, STAGE, FETCH, TMP):
            self._add_tree(entry.at(name), f"{above}/{name}")
        self.files[f"{above}/{_HOOK}"] = STARTUP

    def _add_tree(self, top: str, name: str) -> None:
        self.folders.append(name)
        try:
            for member in members(top):
                path = f"{name}/{member.relative}"
                _check_name(path, "the name of a file")
                if member.kind == DIRECTORY:
                    self.folders.append(path)
                elif member.kind == FILE:
                    self.files[path] = member.path
                elif member.kind == LINK:
                    target = os.readlink(member.path)  # noqa: PTH115
                    _check_name(target, "the target of a link")
                    self.links[path] = target
        except FileNotFoundError:
            return  # nothing was fetched
        except (CacheError, OSError) as error:
            raise RunsHere(f"its files cannot be read: {error}") from error

    def _add_input(self, path: str, rules: str) -> None:
        name = path.lstrip("/")
        _check_name(name, "the name of an input")
        if not os.path.isdir(path):  # noqa: PTH112
            self.files[name] = path
            return
        self.folders.append(name)
        try:
            for relative, inner, status, target in walk(path, rules):
                _check_name(relative, "the name of an input")
                below = f"{name}/{relative}"
                if target:
                    _check_name(target, "the target of a link")
                    self.links[below] = target
                elif stat.S_ISDIR(status.st_mode):
                    self.folders.append(below)
                else:
                    self.files[below] = inner
        except OSError as error:
            raise RunsHere(f"its input {path} cannot be read: {error}") from error

    # -- programs of the machine ------------------------------------------------------------------

    def _add_program(self, path: str, depth: int = 0) -> None:
        """Add a program of the machine with what starts it: its interpreter, or its libraries."""
        self._add_file(path)
        try:
            with Path(path).open("rb") as file:
                head = file.read(256)
        except OSError as error:
            raise RunsHere(f"{path} cannot be read: {error.strerror}") from error
        if not head.startswith(b"#!") or depth:
            self._add_libraries(path, is_needed=True)
            return
        words = os.fsdecode(head[2:].partition(b"\n")[0]).split()
        if words and posixpath.basename(words[0]) == "env" and len(words) > 1:
            named = find_program(words[1], self.run.engine.services.environment)
            words = [words[0], *([named] if named else [])]
        for interpreter in words[:2]:
            if interpreter.startswith("/") and Path(interpreter).is_file():
                self._add_program(interpreter, depth + 1)

    def _add_libraries(self, path: str, *, is_needed: bool) -> None:
        services = self.run.engine.services
        environment = {"LANG": "C.UTF-8"}

        def look_up() -> list[str] | str:
            try:
                return loaded_libraries(Path(path), environment, services.children)
            except LibrariesUnknown as error:
                return str(error)

        found = services.memo.once(("libraries", path), look_up)
        if isinstance(found, str):
            if is_needed:
                raise RunsHere(f"{path}: {found}")
            return
        for library in found:
            self._add_file(library)

    def _add_file(self, path: str) -> None:
        name = self._spelled(path)
        above = name
        while above:
            if above in self.payloads:
                return  # it is sent with its package
            above = above.rpartition("/")[0]
        self.files[name] = path

    def _spelled(self, path: str) -> str:
        """Return the path below the input root, which has links such as /lib → usr/lib, too."""
        first, slash, rest = path.lstrip("/").partition("/")
        if slash and os.path.islink(f"/{first}"):  # noqa: PTH114
            target = os.readlink(f"/{first}")  # noqa: PTH115
            if not target.startswith("/") and ".." not in target.split("/"):
                self.links[first] = target
                return f"{target.rstrip('/')}/{rest}"
        return path.lstrip("/")

    def path_within(self, path: str) -> str:
        """Return the folders of a PATH that the input root has."""
        there = {posixpath.dirname(name) for name in self.files}
        kept = []
        for folder in path.split(os.pathsep):
            name = self._spelled(posixpath.normpath(f"{folder}/x"))[: -len("/x")]
            in_payload = any(f"{name}/".startswith(f"{top}/") for top in self.payloads)
            if folder.startswith("/") and (name in there or in_payload):
                kept.append(folder)
        return os.pathsep.join(kept)


def _programs_of(dependencies: Iterable[Recipe]) -> list[str]:
    """Return the programs of packages that others run: in their folders for PATH, and products."""
    found: dict[str, None] = {}
    for recipe in dependencies:
        asset = str(recipe.asset_dir)
        for folder in recipe.loaded.exports.path:
            path = os.path.normpath(os.path.join(asset, folder.replace("{{asset}}", asset)))  # noqa: PTH118
            found |= dict.fromkeys(_executables(path))
        found |= dict.fromkeys(f"{asset}/{each.path}" for each in recipe.provides.values())
    return list(found)[:_MOST_PROGRAMS]


def _executables(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as listing:
            return sorted(entry.path for entry in listing if entry.is_file())
    except OSError:
        return []


def new_folders(action: RemoteAction) -> Mapping[str, str]:
    """Return the new folders, beside the old ones, in which the outputs of an action are put."""
    return {
        name: f"/{action.folder}/{TMP}-{posixpath.basename(name)}" for name in action.output_folders
    }
