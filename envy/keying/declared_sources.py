"""The sources that `fetch` declares, known before anything is fetched.

A fetch function is called when its recipe is loaded, while its Lua state is open; its answer is
used if the entry key is computed. A function that acts, which means that it calls a function of
ctx, declares no sources: the text of the recipe covers it in the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from envy.answers.evidence import Evidence
from envy.content.file_digest import file_digest
from envy.declarations.option_text import OptionValue
from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, DeclarationError
from envy.execution.access import may_read
from envy.execution.ctx import fetch_names
from envy.execution.fetch_result import returned_sources
from envy.execution.log import report
from envy.execution.services import PhaseServices
from envy.graph.recipe import FetchAnswer, Recipe
from envy.keying.inputs import Inputs
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import CtxTable, LuaFunction, LuaValue

_ACTS = FetchAnswer(acts=True)


def declared_sources(recipe: Recipe, engine: PhaseServices) -> tuple[SourceItem, ...] | None:
    """Return the declared sources; None for a function that acts.

    Raises:
        EnvyError: the function failed, or returned something that is not a source.
    """
    answer = recipe.fetch_answer
    for level, message in answer.messages if answer is not None else ():
        report(recipe, engine.services, level, message)
    return answered_sources(recipe)


def answered_sources(recipe: Recipe) -> tuple[SourceItem, ...] | None:
    """Return the declared sources, and report no message of the function; see above."""
    definition, answer = recipe.loaded.definition, recipe.fetch_answer
    if not isinstance(definition.fetch, LuaFunction):
        return definition.fetch or ()
    if answer is None:  # excluded on this platform, so never called
        return None
    if answer.error is not None:
        raise answer.error
    if answer.acts:
        return None
    return returned_sources(recipe, definition.fetch, answer.value)


def evaluate_fetch(
    recipe: Recipe,
    engine: PhaseServices,
    fetch: LuaFunction,
    options: Mapping[str, OptionValue] | None = None,
) -> FetchAnswer:
    """Call a fetch function to learn which sources it declares, for its own options or others.

    The call has no effect but the answer: a function that acts is stopped and its messages are
    dropped, since the fetch phase calls it again. An error of the function is kept in the answer,
    and is raised when the answer is used.
    """
    given = recipe.loaded.definition.options if options is None else options
    imperative = reads_clock = False

    def note_clock() -> None:
        nonlocal reads_clock
        reads_clock = True

    def refuse(*_arguments: object) -> None:
        nonlocal imperative
        imperative = True
        raise DeclarationError("this function of ctx works only in the fetch phase")

    messages: list[tuple[str, str]] = []
    inputs = Inputs(recipe)
    variables = _RecordingVariables(engine.services.environment, recipe.evidence)
    files: set[str] = set()

    def note_read(path: Path) -> bool:
        files.add(str(path))
        # A file that decides about the sources is evidence, wherever it is.
        if not inputs.contains(path):
            recipe.evidence.files[str(path)] = file_digest(str(path))
        return may_read(recipe, engine, path) or inputs.contains(path)

    access = PhaseAccess(
        run_dir=recipe.loaded.recipe_dir,
        environment=variables,
        recipe_dir=Path(recipe.loaded.recipe_dir.anchor),
        may_read=note_read,
        on_write=refuse,
        on_output=lambda level, message: messages.append((level, message)),
        on_clock=note_clock,
    )
    try:
        with fetch.state.phase(access):
            value = fetch.state.call_with_ctx(fetch, _ctx_of(recipe, given, refuse), given)
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - raised again when the answer is used
        return _ACTS if imperative else FetchAnswer(error=error, messages=tuple(messages))
    if imperative:
        return _ACTS
    if messages or reads_clock:
        # The next run may answer differently, and must repeat the messages.
        recipe.evidence.lasting = False
    seen = (frozenset(variables.read), frozenset(files))
    return FetchAnswer(value=value, messages=tuple(messages), variables=seen[0], files=seen[1])


def _ctx_of(
    recipe: Recipe, options: Mapping[str, OptionValue], refuse: Callable[..., None]
) -> CtxTable:
    """Return a ctx of data alone: each of its functions refuses."""
    return CtxTable(
        fields={
            "identity": recipe.key.identity,
            "options": cast("LuaValue", dict(options)),
            "recipe_dir": str(recipe.loaded.recipe_dir),
        },
        functions=dict.fromkeys(fetch_names(), refuse),
        missing=_RefusedFields(refuse),
    )


class _RefusedFields(Mapping[str, str]):
    """The fields of ctx that only the fetch phase has; reading one counts as acting."""

    def __init__(self, refuse: Callable[[], None]) -> None:
        self._refuse = refuse

    def __getitem__(self, name: str) -> str:
        if name not in self:
            raise KeyError(name)
        self._refuse()
        return name

    def __contains__(self, name: object) -> bool:
        return name == "tmp_dir"

    def __iter__(self) -> Iterator[str]:
        return iter(("tmp_dir",))

    def __len__(self) -> int:
        return 1


class _RecordingVariables(Mapping[str, str]):
    """An environment that records in the evidence which variables are read."""

    def __init__(self, variables: Mapping[str, str], evidence: Evidence) -> None:
        self._variables = variables
        self._evidence = evidence
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        self._evidence.note_variables({name: self._variables.get(name)})
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)
