"""`host`: the programs of the machine that a recipe uses, as ingredients of its key."""

from __future__ import annotations

import functools
import shutil

from envy.declarations.locations import location_in_file
from envy.errors import DeclarationError, ScriptFailed
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.host.process import Completed
from envy.host.shell import builtin_shell, run_script


def host_versions(recipe: Recipe, engine: PhaseServices) -> dict[str, str]:
    """Return the path and version output of each program; each command runs once in a run.

    Raises:
        DeclarationError: a program is not on the PATH; ScriptFailed: its version command fails.
    """
    definition = recipe.loaded.definition
    found = {}
    for program, command in definition.host:
        ask = functools.partial(_version, recipe, engine, program, command)
        found[program] = engine.services.memo.once(("host", program, command), ask)
    return found


def _version(recipe: Recipe, engine: PhaseServices, program: str, command: str) -> str:
    services = engine.services
    path = shutil.which(program, path=services.environment.get("PATH"))
    if path is None:
        raise DeclarationError(
            f"`host` names {program}, which is not on the PATH",
            origin=location_in_file(recipe.loaded.path, "host"),
            hint=f"install {program} on this machine",
        )
    completed: Completed = run_script(
        command,
        shell=builtin_shell(services.platform),
        cwd=services.project_dir,
        environment=services.environment,
        children=services.children,
        label=f"{recipe.key.canonical}: host {program}",
        capture=True,
    )
    if completed.exit_code:
        raise ScriptFailed(
            command=command,
            exit_code=completed.exit_code,
            signal=completed.signal,
            tail=completed.stderr.decode("utf-8", "replace")[-1000:],
            hint=f'set a command that prints its version: host = {{ {program} = "…" }}',
        )
    return f"{path} {completed.stdout.decode('utf-8', 'replace').strip()}"
