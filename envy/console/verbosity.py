"""Importance of remarks, and verbosity of a console. Settings load it early: imports only enum."""

from enum import IntEnum


class Importance(IntEnum):
    """How much a remark matters; a console shows remarks from its verbosity up."""

    DETAIL = 0  # with --verbose
    STEP = 1  # work begins; the live display shows this itself
    NOTE = 2
    WARNING = 3
    FAILURE = 4
    RESULT = 5  # printed by a recipe, for standard output


class Verbosity(IntEnum):
    """How much a user wants to see: the least importance that is shown."""

    VERBOSE = Importance.DETAIL
    NORMAL = Importance.STEP
    QUIET = Importance.WARNING
