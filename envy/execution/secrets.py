"""What may not be shown: the values of a recipe's `secret_env`.

Whatever a recipe says, runs, fetches or fails with goes through here before it becomes a line of a
log, an event or a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envy.graph.recipe import Recipe

if TYPE_CHECKING:
    from envy.errors import EnvyError
    from envy.execution.services import Services

MASK = b"***"
# A line of a secret of several lines; less would mask half of everything.
_SHORTEST_LINE = 4


def secrets_of(recipe: Recipe, services: Services) -> tuple[bytes, ...]:
    """What to mask; the longest first, for one secret may be the beginning of another."""
    loaded = recipe.loaded_or_none
    if loaded is None or not loaded.definition.secret_env:
        return ()
    found: set[str] = set()
    for name in loaded.definition.secret_env:
        value = services.environment.get(name, "")
        # Output is masked line by line, and a key file has many.
        found |= {value, *(line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)}
    return tuple(
        sorted((_encoded(text) for text in found if text), key=lambda text: (-len(text), text))
    )


def masked(text: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """The bytes without the secrets in them."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def masked_text(text: str, secrets: tuple[bytes, ...]) -> str:
    """The text without the secrets in it."""
    if not secrets:
        return text
    return masked(_encoded(text), secrets).decode("utf-8", "surrogateescape")


def mask_error(error: EnvyError, secrets: tuple[bytes, ...]) -> None:
    """Take the secrets out of what an error says."""
    if secrets:
        error.message = masked_text(error.message, secrets)
        error.hint = masked_text(error.hint, secrets)
        error.args = (error.message,)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
