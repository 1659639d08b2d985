"""Warm `run` and `product`: which program a name runs, and with which variables.

An answer has this only if everything that the project uses was installed when it was stored. What
the name of a missing, failed or user-managed package does, a name that several packages provide
equally near, and every error, are left to a full run. This module imports little.
"""

from __future__ import annotations

import os

from envy.answers.lookup import all_goals, record_use
from envy.answers.products import OUTSIDE, PROGRAM, rows_of
from envy.answers.programs import find_program
from envy.answers.read import USED, StoredAnswer, installed_closure, load_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Invocation:
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
    for product in rows_of(answer.products):
        if product.name == name:
            if not product.positions.isdigit() or product.flag == OUTSIDE:
                return None
            closure = installed_closure(answer, [int(product.positions)], root)
            if closure is None or not product.is_intact():
                return None
            whole = set(all_goals(answer)) == {int(product.positions)}
            recorded = record_use(root, manifest, answer, closure, whole=whole)
            return product.value if recorded else None
    return None


def invocation_of(
    root: str, manifest: str, words: Sequence[str], environment: Mapping[str, str]
) -> Invocation | None:
    """Return what `envy run` runs for a command; None if a full run is needed."""
    answer = load_answer(root, manifest, environment)
    if answer is None or USED not in answer.marks:
        return None
    closure = installed_closure(answer, all_goals(answer), root)
    if closure is None:
        return None
    asked = None
    for product in rows_of(answer.products):
        if not product.is_intact():
            return None
        if product.name == words[0]:
            asked = product
    variables = _variables(answer, environment)
    if asked is None:
        program = find_program(words[0], variables)
    elif asked.flag == PROGRAM and asked.positions.isdigit():
        program, words = asked.program, [asked.program, *words[1:]]
    else:
        return None
    if program is None or not record_use(root, manifest, answer, closure, whole=True):
        return None
    return Invocation(program, words, variables)


def _variables(answer: StoredAnswer, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a program, as `ProjectEnvironment.applied_to` does."""
    variables = {**base, **_pairs(answer.variables)}
    for name, folders in _pairs(answer.folders).items():
        old = base.get(name, "")
        rest = old.split(os.pathsep) if old else []
        variables[name] = os.pathsep.join(dict.fromkeys([*folders.split(os.pathsep), *rest]))
    return variables


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return dict(zip(texts[::2], texts[1::2], strict=True))
