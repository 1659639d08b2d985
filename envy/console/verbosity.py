"""How much matters, and how much a user wants to hear. Imports nothing: settings need it early."""

from enum import IntEnum


class Importance(IntEnum):
    """How much a remark matters; a console shows those above a level."""

    DETAIL = 0  # with --verbose
    STEP = 1  # something begins; a live display shows that by itself
    NOTE = 2
    WARNING = 3
    FAILURE = 4
    RESULT = 5  # asked for by a recipe, for standard output


class Verbosity(IntEnum):
    """How much a user wants to hear: the least importance that is shown."""

    VERBOSE = Importance.DETAIL
    NORMAL = Importance.STEP
    QUIET = Importance.WARNING
