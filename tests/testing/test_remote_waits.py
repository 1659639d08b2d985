"""What a run says of actions that a server executes."""

import re

from envy.events import EventBus
from envy.sharing.actions import Executed, RemoteAction
from envy.testing.remote.tests import RemoteTests
from envy.testing.shared.places import NamedPlaces


class Executor:
    """Executes an action by telling its stages; notes what is said meanwhile."""

    shown = "grpc://server"

    def __init__(self):
        self.said = []
        self.ends_at = None
        self.describe_waits = list

    def check(self):
        pass

    def is_news(self, error):
        return True

    def execute(self, action, check, on_stage):
        self.ends_at = action.ends_at
        self.said += self.describe_waits()
        for stage in ("waits for a worker of", "runs on"):
            on_stage(stage)
            self.said += self.describe_waits()
        return Executed(exit_code=0)


def test_waits_for_actions():
    """Each action has a line that says what it does, from its start to its end."""
    executor = Executor()
    tests = RemoteTests(
        lambda: executor,
        NamedPlaces({}),
        EventBus(),
        jobs=1,
        here=1,
        reads=True,
        warn=print,
        say=print,
    )
    executor.describe_waits = tests.describe_waits
    tests.begin(lambda: None, 7.0)
    assert tests.execute("lib", RemoteAction(argv=["x"])) is not None
    assert executor.ends_at == 7.0
    assert [re.sub(r"\d+ s", "N s", line) for line in executor.said] == [
        "lib: is sent to grpc://server (N s)",
        "lib: waits for a worker of grpc://server (N s)",
        "lib: runs on grpc://server (N s)",
    ]
    assert tests.describe_waits() == []
