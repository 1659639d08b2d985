"""`host`: the programs of the machine that a recipe uses, as ingredients of its key."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable

from envy import interpreter
from envy.answers.machine_programs import (
    Told,
    answer_text,
    asking_environment,
    facts_of,
    find_program,
    words_of,
)
from envy.content.file_digest import variable_digest
from envy.declarations.locations import location_in_file
from envy.errors import DeclarationError, EnvyError, ScriptFailed
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.host.process import Completed, run_argv

_AT_ONCE = 16


def host_versions(recipe: Recipe, engine: PhaseServices) -> dict[str, str]:
    """Return the path and version output of each program; each command runs once in a run.

    Raises:
        DeclarationError: a program is not on the PATH; ScriptFailed: its version command fails.
    """
    versions = {}
    for program, command in recipe.loaded.definition.host:
        told = _told(recipe, engine, program, command)
        versions[program] = told.text
        recipe.evidence.host[program, command] = Told(
            program, command, told.found, told.facts, variable_digest(told.text) or ""
        )
    return versions


def ask_ahead(recipes: Iterable[Recipe], engine: PhaseServices) -> None:
    """Ask all programs of these recipes at once; their keys then wait for none of them.

    A failure is reported by the recipe that asks again.
    """
    wanted = {
        question: recipe
        for recipe in recipes
        if recipe.loaded_or_none is not None
        for question in recipe.loaded.definition.host
    }
    if len(wanted) < 2:
        return
    from concurrent.futures import ThreadPoolExecutor

    def ask(question: tuple[str, str]) -> None:
        with contextlib.suppress(EnvyError):
            _told(wanted[question], engine, *question)

    with (
        interpreter.released(),
        ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), "envy-host") as pool,
    ):
        list(pool.map(ask, wanted))


def _told(recipe: Recipe, engine: PhaseServices, program: str, command: str) -> Told:
    ask = functools.partial(_ask, recipe, engine, program, command)
    return engine.services.memo.once(("host", program, command), ask)


def _ask(recipe: Recipe, engine: PhaseServices, program: str, command: str) -> Told:
    services = engine.services
    path = find_program(program, services.environment)
    if path is None:
        raise DeclarationError(
            f"`host` names {program}, which is not on the PATH",
            origin=location_in_file(recipe.loaded.path, "host"),
            hint=f"install {program} on this machine",
        )
    # Before the program runs: if it is replaced meanwhile, the next sync asks again.
    facts = facts_of(program, command, path, services.environment)
    completed = _run(recipe, engine, program, command, path)
    if completed.exit_code:
        raise ScriptFailed(
            command=command,
            exit_code=completed.exit_code,
            signal=completed.signal,
            tail=completed.stderr.decode("utf-8", "replace")[-1000:],
            hint=f'set a command that prints its version: host = {{ {program} = "…" }}',
        )
    return Told(program, command, path, facts, answer_text(path, completed.stdout))


def _run(recipe: Recipe, engine: PhaseServices, program: str, command: str, path: str) -> Completed:
    services = engine.services
    return run_argv(
        words_of(program, command, path),
        cwd=services.project_dir,
        environment=asking_environment(services.environment),
        children=services.children,
        label=f"{recipe.key.canonical}: host {program}",
        shown=command,
        capture=True,
    )
