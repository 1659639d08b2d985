"""Whether the view or the terminal has the mouse, and the sequences that decide it.

While the view has it, most terminals select text only with Shift held down.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "ENVY_TEST_MOUSE"
# Clicks, movements, and the two notations of places, as Textual asks for them.
_MODES = (1000, 1003, 1015, 1006)


def has_mouse(environment: Mapping[str, str]) -> bool:
    """Return whether the view takes the mouse at its start."""
    return environment.get(VARIABLE, "") != "0"


def mouse_sequence(*, on: bool) -> str:
    """Return what tells a terminal to report the mouse, or to keep it for itself."""
    return "".join(f"\x1b[?{mode}{'h' if on else 'l'}" for mode in _MODES)
