"""What is secret in a recipe: the values of its `secret_env`.

They are known once its file has run. What the file prints until then is held back, and a file that
fails is searched for what it would have declared. What else is masked, and how, is in `masking`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from envy.errors import EnvyError, InternalError
from envy.graph.recipe import Recipe
from envy.masking import Secrets, masked, occur_in, remember

if TYPE_CHECKING:
    from envy.declarations.definition import RecipeDefinition
    from envy.execution.services import Services
    from envy.lua.runtime import LuaState

_GLOBAL = "secret_env"
_MOST_HELD = 1000  # messages
_WRITTEN = re.compile(r"secret_env\s{0,20}=\s{0,20}\{([^{}]{0,4000})\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


def remember_secrets(definition: RecipeDefinition, services: Services) -> None:
    """Remember the values of `secret_env`, which are masked from then on."""
    _remember_variables(definition.secret_env, services)


def secrets_in_key(recipe: Recipe, services: Services) -> Secrets:
    """Return what is masked in the text of a recipe's key, and in what is stored with it.

    Besides its own `secret_env`, this is what a recipe that needs it passes on in its options. A
    key depends on nothing else that the run knows.
    """
    names = recipe.loaded.definition.secret_env
    values = {services.environment.get(name, "") for name in names}
    if recipe.key.options:
        values |= occur_in(recipe.key.canonical)
    return Secrets(values) if values else _ADDRESSES_ONLY


_ADDRESSES_ONLY = Secrets()


@contextlib.contextmanager
def learning_secrets(text: str, services: Services, state: LuaState, held: Held) -> Iterator[None]:
    """Around the loading of a file: hold its messages back until it is known what is secret."""
    try:
        yield
    except BaseException:
        _remember_variables(_names_written(text), services)
        with contextlib.suppress(EnvyError, InternalError):
            found = state.user_globals([_GLOBAL]).get(_GLOBAL)
            _remember_variables(found if isinstance(found, list) else (), services)
        raise
    finally:
        held.release()


def mask_error(error: EnvyError) -> None:
    """Mask an error's message, hint and arguments in place."""
    error.message, error.hint = masked(error.message), masked(error.hint)
    error.args = (error.message,)


class Held:
    """Messages of a file that is being loaded, which are passed on when it has been.

    Only those after it has read a variable: nothing before can hold its value.
    """

    def __init__(
        self,
        emit: Callable[[str, str], None],
        text: str,
        services: Services,
        *,
        has_read: Callable[[], bool],
    ) -> None:
        self._emit = emit
        self._has_read = has_read
        self._text = text
        self._services = services
        self._messages: list[tuple[str, str]] | None = []

    def add(self, level: str, message: str) -> None:
        """Hold a message back, or pass it on if the file has been loaded."""
        if self._messages is None or not (self._messages or self._has_read()):
            self._emit(level, message)
            return
        self._messages.append((level, message))
        if len(self._messages) >= _MOST_HELD:
            # A file that prints without end: what its text declares is masked.
            _remember_variables(_names_written(self._text), self._services)
            self.release()

    def release(self) -> None:
        """Pass on what was held back, and everything from now on."""
        messages, self._messages = self._messages or (), None
        self._has_read = bool  # asked no more; the state that it asks must not live as long as this
        for level, message in messages:
            self._emit(level, message)


def _names_written(text: str) -> list[str]:
    """Return what looks like a name in `secret_env = { … }` in the text of a file."""
    return [name for found in _WRITTEN.finditer(text) for name in _NAME.findall(found[1])]


def _remember_variables(names: Iterable[object], services: Services) -> None:
    found = [services.environment.get(name, "") for name in names if isinstance(name, str)]
    if found:
        remember(found)
