"""The values of a recipe's `secret_env`, which are masked wherever text is shown.

Everything that a recipe prints, runs, fetches or fails with is masked here before it becomes a line
of a log, an event or a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envy.graph.recipe import Recipe

if TYPE_CHECKING:
    from envy.errors import EnvyError
    from envy.execution.services import Services

MASK = b"***"
# In a secret of several lines; shorter lines would mask too much other text.
_SHORTEST_LINE = 4


def secrets_of(recipe: Recipe, services: Services) -> tuple[bytes, ...]:
    """Return what to mask, longest first, since one secret may be the start of another."""
    loaded = recipe.loaded_or_none
    if loaded is None or not loaded.definition.secret_env:
        return ()
    found: set[str] = set()
    for name in loaded.definition.secret_env:
        value = services.environment.get(name, "")
        # Output is masked line by line, and a secret such as a key file has several lines.
        found |= {value, *(line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)}
    return tuple(
        sorted((_encoded(text) for text in found if text), key=lambda text: (-len(text), text))
    )


def masked(text: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """Return the bytes with each secret replaced by the mask."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def masked_text(text: str, secrets: tuple[bytes, ...]) -> str:
    """Return the text with each secret replaced by the mask."""
    if not secrets:
        return text
    return masked(_encoded(text), secrets).decode("utf-8", "surrogateescape")


def mask_error(error: EnvyError, secrets: tuple[bytes, ...]) -> None:
    """Mask the secrets in an error's message and hint."""
    if secrets:
        error.message = masked_text(error.message, secrets)
        error.hint = masked_text(error.hint, secrets)
        error.args = (error.message,)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
