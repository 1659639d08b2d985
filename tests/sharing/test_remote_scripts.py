"""The server that runs scripts: when it is given up, and what is asked again."""

import pytest

from envy.errors import Cancelled, FetchError
from envy.sharing.actions import Executed, NotExecuted, RemoteAction, ResultNotUsed
from envy.sharing.remote_scripts import RemoteScripts
from envy.transport.context import NotFound

ACTION = RemoteAction(argv=["x"])


class ScriptedExecutor:
    """Answers with what a test has listed: results, and errors, which are raised."""

    shown = "grpc://x"

    def __init__(self, *answers, check=None):
        self.answers = list(answers)
        self.asked = []
        self.checks = 0
        self.error = check

    def check(self):
        self.checks += 1
        if self.error is not None:
            raise self.error

    def is_news(self, error):
        return "known" not in error.message

    def execute(self, action, check):
        self.asked.append(action.reads_cache)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def run():
    """Return a function that runs some actions, and returns the answers and the warnings."""

    def run(executor, count=1, take=lambda *_: None):
        warnings = []
        scripts = RemoteScripts(executor, jobs=1, warn=warnings.append)
        answers = [scripts.run(ACTION, take, lambda: None) for _ in range(count)]
        return answers, warnings, scripts.is_used

    return run


def test_a_server_is_given_up(run):
    """It is, with one warning, when it does not answer or has not run three scripts."""
    error = NotExecuted("no worker", uri="x")
    executor = ScriptedExecutor(error, error, Executed(exit_code=3), error)
    answers, warnings, is_used = run(executor, 6)
    assert answers == ["no worker", "no worker", Executed(exit_code=3), *["no worker"] * 3]
    assert warnings == ["no worker; scripts run here"]
    assert (len(executor.asked), executor.checks, is_used) == (4, 1, False)
    for error, told in (("gone", ["gone (wait); scripts run here"]), ("known", [])):
        executor = ScriptedExecutor(FetchError(error, uri="x", hint="wait"))
        assert run(executor, 2) == ([error, error], told, False)
    executor = ScriptedExecutor(check=FetchError("executes nothing", uri="x"))
    assert run(executor, 2)[1:] == (["executes nothing; scripts run here"], False)
    assert executor.checks == 1


def test_results_that_are_not_used(run):
    """They are no failures of the server, however many there are."""
    error = ResultNotUsed("it made the link asset/x", uri="x")
    executor = ScriptedExecutor(*[error] * 5)
    assert run(executor, 5) == ([error.message] * 5, [], True)


def test_a_former_result_that_is_lost(run):
    """A former result of which the server lacks something is asked for again, without its cache."""
    former, new = Executed(exit_code=0, is_cached=True), Executed(exit_code=0)

    def take(_action, executed, _executor):
        if executed.is_cached:
            raise NotFound("lost a blob", uri="x")

    executor = ScriptedExecutor(former, new)
    assert run(executor, take=take) == ([new], [], True)
    assert executor.asked == [True, False]

    def take_nothing(_action, _executed, _executor):
        raise NotFound("lost a blob", uri="x")

    assert run(ScriptedExecutor(new), take=take_nothing) == (["lost a blob"], [], True)


def test_cancellation(run):
    """A run that is ending is no failure of the server."""
    with pytest.raises(Cancelled):
        run(ScriptedExecutor(Cancelled("x")))
