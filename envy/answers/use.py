"""Warm `run`, `product` and `env`: which program a name runs, and with which variables.

An answer has this only if everything that the project uses was installed when it was stored. What
the name of a missing, failed or user-managed package does, a name that several packages provide
equally near, and every error, are left to a full run. This module imports little.
"""

from __future__ import annotations

import os

from envy.answers.lookup import all_goals, record_use
from envy.answers.machine_programs import find_program
from envy.answers.products import PROGRAM, are_intact, rows_of
from envy.answers.read import USED, StoredAnswer, installed_closure, load_answer
from envy.cache.names import SHIMS_FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WarmProgram:
    """A program, the words it is run with, and its variables."""

    __slots__ = ("program", "variables", "words")

    def __init__(self, program: str, words: Sequence[str], variables: Mapping[str, str]) -> None:
        self.program = program
        self.words = words
        self.variables = variables


def product_value(
    root: str, manifest: str, name: str, environment: Mapping[str, str]
) -> str | None:
    """Return what `envy product` prints for a name; None if a full run is needed."""
    answer = load_answer(root, manifest, environment)
    if answer is None or USED not in answer.marks:
        return None
    product = next((row for row in rows_of(answer.products) if row.name == name), None)
    if product is None or not product.is_chosen() or not product.is_intact():
        return None
    goal = int(product.positions)
    closure = installed_closure(answer, [goal], root)
    whole = set(all_goals(answer)) == {goal}
    if closure is None or not record_use(root, manifest, answer, closure, whole=whole):
        return None
    return product.program


def invocation_of(
    root: str, manifest: str, words: Sequence[str], environment: Mapping[str, str]
) -> WarmProgram | None:
    """Return what `envy run` runs for a command; None if a full run is needed."""
    answer = load_answer(root, manifest, environment)
    if answer is None or USED not in answer.marks:
        return None
    closure = installed_closure(answer, all_goals(answer), root)
    if closure is None or not are_intact(answer.products):
        return None
    found = _invocation(answer, words, environment, root)
    if found is None or not record_use(root, manifest, answer, closure, whole=True):
        return None
    return found


def variables_of(root: str, manifest: str, base: Mapping[str, str]) -> dict[str, str] | None:
    """Return the variables that `envy env` prints; None if a full run is needed."""
    answer = load_answer(root, manifest, base)
    if answer is None or USED not in answer.marks:
        return None
    closure = installed_closure(answer, all_goals(answer), root)
    if closure is None or not are_intact(answer.products):
        return None
    names = answer.folders[::2]
    variables = _usable_variables(
        answer, {name: base[name] for name in names if name in base}, root
    )
    if variables is None or not record_use(root, manifest, answer, closure, whole=True):
        return None
    return variables


def _invocation(
    answer: StoredAnswer,
    words: Sequence[str],
    environment: Mapping[str, str],
    root: str,
) -> WarmProgram | None:
    variables = _usable_variables(answer, environment, root)
    if variables is None:
        return None
    asked = next((row for row in rows_of(answer.products) if row.name == words[0]), None)
    if asked is None:
        program = find_program(words[0], variables)
        return WarmProgram(program, words, variables) if program is not None else None
    if asked.flag != PROGRAM or not asked.is_chosen():
        return None
    return WarmProgram(asked.program, [asked.program, *words[1:]], variables)


def _usable_variables(
    answer: StoredAnswer, base: Mapping[str, str], root: str
) -> dict[str, str] | None:
    """Return the variables of a program; None if only a full run can."""
    try:
        variables = _variables(answer, base)
    except Exception:  # noqa: BLE001 - a full run says what is wrong with the dotenv file
        return None
    scripts = f"{root}/{SHIMS_FOLDER}/"
    for folder in variables.get("PATH", "").split(os.pathsep):
        if folder.startswith(scripts) and not os.path.isdir(folder):
            return None
    return variables


def _variables(answer: StoredAnswer, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a program, as `ProjectEnvironment.applied_to` does.

    Raises:
        ManifestError: the dotenv file is invalid.
    """
    variables = {**base, **_pairs(answer.variables)}
    for path in filter(os.path.exists, answer.dotenv):
        from pathlib import Path

        from envy.declarations.dotenv import read_dotenv

        variables.update(read_dotenv(Path(path)))
    for name, folders in _pairs(answer.folders).items():
        old = variables.get(name, "")
        rest = old.split(os.pathsep) if old else []
        variables[name] = os.pathsep.join(dict.fromkeys([*folders.split(os.pathsep), *rest]))
    return variables


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return dict(zip(texts[::2], texts[1::2], strict=True))
