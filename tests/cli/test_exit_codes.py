"""Exit codes of a run."""

import pytest

from envy.cli.exit_codes import exit_code_of
from envy.console.summary import SyncResult
from envy.errors import EnvyError, PhaseFailed

FAILED = PhaseFailed(key="a.b@r1", phase="build", cause=EnvyError("no"))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (SyncResult(packages=1), 0),
        (SyncResult(packages=1, failures=[FAILED]), 1),
        (SyncResult(packages=1, failures=[FAILED], cancelled=True), 130),
    ],
)
def test_the_exit_code_tells_how_a_run_ended(result, expected):
    """A good run ends with 0, a failed one with 1, a cancelled one with 130."""
    assert exit_code_of(result) == expected
