"""The exit codes of `envy`; no other module decides them."""

from envy.console.summary import SyncResult

SUCCESS = 0
FAILURE = 1  # something requested could not be done
USAGE = 2  # the command line is not valid
CANCELLED = 130  # cancelled by the user


def exit_code_of(result: SyncResult) -> int:
    """Return the exit code of a run with this result."""
    if result.cancelled:
        return CANCELLED
    return FAILURE if result.failures else SUCCESS
