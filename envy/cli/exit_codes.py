"""What the exit codes of `envy` mean; the only place that decides them."""

from envy.console.summary import SyncResult

SUCCESS = 0
FAILURE = 1  # something that was asked for could not be done
USAGE = 2  # the words of the command line cannot be
CANCELLED = 130  # ended by the user


def exit_code_of(result: SyncResult) -> int:
    """The exit code of a run that ended with this result."""
    if result.cancelled:
        return CANCELLED
    return FAILURE if result.failures else SUCCESS
