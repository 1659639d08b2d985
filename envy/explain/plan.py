"""The plan of a sync as data: what it would fetch, run, reuse or check, and what is unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from envy.engine.failures import is_left_out
from envy.explain.view import why_not
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Recipe, one_of_each
from envy.graph.remote_verbs import REMOTE_PHASES, dependencies_by, why_here

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.session import Session

_VERBS = ("stage", "build", "install", "deploy")
# Lines that differ only in the name of a package are one line from this number on.
_MANY = 4


class Act(Enum):
    """The action that a sync would take for a package."""

    INSTALL = "install"
    DEPLOY = "deploy"
    CHECK = "check"
    REUSE = "reuse"
    UNKNOWN = "unknown"
    FAIL = "fail"  # it has already failed, so no work on it would start


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One package, and the action that a sync would take for it."""

    key: str
    act: Act
    reason: str
    fetches: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()  # the verbs of its recipe that would run
    remote: tuple[str, ...] = ()  # those of them that a server runs, with --remote-exec
    kept_here: tuple[str, ...] = ()  # why others of a recipe with `remote` do not run there


def make_plan(session: Session, goals: Sequence[RecipeKey]) -> list[PlannedStep]:
    """Return the steps that complete the goals, dependencies first; runs no phase.

    Packages with one entry are one step.
    """
    session.prepare(goals)
    wanted = {recipe.key for recipe in session.wanted()}
    order = dependencies_first(
        sorted(wanted),
        lambda key: sorted(edge.key for edge in session.all_edges(key) if edge.key in wanted),
    )
    return [_step(session, recipe) for recipe in one_of_each(map(session.recipe, order))]


def _step(session: Session, recipe: Recipe) -> PlannedStep:
    key = recipe.key.canonical
    failure = session.failure_of(recipe.key)
    if failure is not None:
        act = Act.UNKNOWN if is_left_out(failure) else Act.FAIL
        return PlannedStep(key=key, act=act, reason=why_not(key, failure))
    if recipe.user_managed:
        return PlannedStep(
            key=key, act=Act.CHECK, reason="user-managed: installed unless its check succeeds"
        )
    if recipe.work.cached and session.needs_deploy(recipe):
        return PlannedStep(
            key=key, act=Act.DEPLOY, reason="it is installed but not deployed", runs=("deploy",)
        )
    if recipe.work.cached:
        return PlannedStep(key=key, act=Act.REUSE, reason="it is installed")
    missing = session.explain_missing(recipe)
    if missing is None or missing.relocated:
        reason = "it is installed" if missing is None else missing.reason
        return PlannedStep(key=key, act=Act.REUSE, reason=reason)
    remote, kept_here = remote_verbs(session, recipe)
    return PlannedStep(
        key=key,
        act=Act.INSTALL,
        reason=missing.text,
        fetches=tuple(_fetches(recipe)),
        runs=tuple(
            verb for verb in _VERBS if getattr(recipe.loaded.definition, verb, None) is not None
        ),
        remote=remote,
        kept_here=kept_here,
    )


def remote_verbs(session: Session, recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the verbs that a server can run, and a text for each of the others of `remote`."""
    loaded = recipe.loaded_or_none
    if loaded is None or not loaded.definition.remote:
        return (), ()
    remote: list[str] = []
    here: list[str] = []
    system, root = session.platform_tag.partition("-")[0], str(session.layout.root)
    for phase in REMOTE_PHASES:
        if getattr(loaded.definition, phase.label) is None:
            continue
        dependencies = dependencies_by(recipe, phase, session.all_edges, session.recipe)
        reason = why_here(recipe, phase, dependencies, system=system, root=root)
        if reason:
            here.append(f"{phase.label} runs here: {reason}")
        else:
            remote.append(phase.label)
    return tuple(remote), tuple(here)


def _fetches(recipe: Recipe) -> Iterator[str]:
    if recipe.placement.sources is None:
        yield "what its fetch function requests"
        return
    for item in recipe.placement.sources:
        yield f"{item.source} at {item.ref}" if item.ref else item.source


def plan_lines(steps: Sequence[PlannedStep], *, all_steps: bool = False) -> Iterator[str]:
    """Yield the lines of the plan as text.

    Unless `all_steps` is set, packages whose lines differ only in their names are one line with
    their number, where the first of them would stand.
    """
    alike = Counter(map(_sameness, steps))
    many = {same for same, count in alike.items() if same and count >= _MANY and not all_steps}
    names = [step.key if _sameness(step) not in many else _count_of(step, alike) for step in steps]
    width = max(map(len, names), default=0)
    told: set[tuple[object, ...]] = set()
    for step, name in zip(steps, names, strict=True):
        same = _sameness(step)
        if same in told:
            continue
        told |= {same} & many
        yield f"{step.act.value:<8} {name:<{width}}  {step.reason}"
        for source in step.fetches:
            yield f"           fetch {source}"
        if step.runs:
            yield f"           run {', '.join(step.runs)}"
        if step.remote:
            yield f"           on the server, with --remote-exec: {', '.join(step.remote)}"
        for reason in step.kept_here:
            yield f"           {reason}"
    yield f"nothing was done; {_summary(steps)}"


def _sameness(step: PlannedStep) -> tuple[object, ...]:
    """Return what the lines of a step say beside its name; () if it fetches something."""
    return () if step.fetches else (step.act, step.reason, step.runs, step.remote, step.kept_here)


def _count_of(step: PlannedStep, alike: Mapping[tuple[object, ...], int]) -> str:
    return f"{alike[_sameness(step)]} packages"


def _summary(steps: Sequence[PlannedStep]) -> str:
    counts = Counter(step.act for step in steps)
    sources = sum(len(step.fetches) for step in steps)
    words = {
        Act.INSTALL: f"to install ({sources} to fetch)",
        Act.DEPLOY: "to deploy",
        Act.CHECK: "to check",
        Act.REUSE: "to reuse",
        Act.UNKNOWN: "not known yet",
        Act.FAIL: "failed",
    }
    parts = [f"{counts[act]} {text}" for act, text in words.items() if counts[act]]
    return ", ".join(parts) or "there is nothing to do"
