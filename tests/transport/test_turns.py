"""Turns of the threads of a batch."""

import threading

from loopback.http_server import Reply

from envy.declarations.sources import SourceItem
from envy.transport import fetch_all
from envy.transport.turns import give_turn, take_turn, taking_turns


def test_one_thread_has_the_turn():
    """It is given before a wait and at the end, and a thread without a batch has none."""
    turn = threading.Lock()
    take_turn()
    give_turn()
    with taking_turns(turn):
        assert not turn.locked()
        take_turn()
        take_turn()
        assert turn.locked()
        give_turn()
        give_turn()
        assert not turn.locked()
        take_turn()
    assert not turn.locked()


def test_nobody_waits_for_long():
    """A thread goes on without the turn, and does not give what it does not have."""
    turn = threading.Lock()
    with turn, taking_turns(turn):
        take_turn()
        give_turn()
        assert turn.locked()


def test_a_batch(http_server, tmp_path, recorder):
    """All items are fetched, in their order, whatever some of them are, and how many threads."""
    (tmp_path / "local").write_bytes(b"local")
    for number in range(20):
        http_server.routes[f"/{number}"] = Reply(b"%d" % number * number * 10)
    sources = [f"{http_server.url}/{number}" for number in range(20)]
    sources.insert(7, (tmp_path / "local").as_uri())
    items = [SourceItem(source=source, base_dir=tmp_path) for source in sources]
    for parallel in (1, 3, 50):
        into = tmp_path / str(parallel)
        found = fetch_all(items, into, recorder.context(), parallel=parallel)
        assert [each.uri for each in found] == sources
        for number in range(20):
            assert (into / str(number)).read_bytes() == b"%d" % number * number * 10


def test_an_unexpected_failure_ends_a_batch(http_server, tmp_path, recorder):
    """It is raised, and what had not begun does not begin."""
    started = []

    def fail(item):
        started.append(item)
        raise KeyError(item.source)

    items = [SourceItem(source=f"{http_server.url}/{n}", base_dir=tmp_path) for n in range(50)]
    try:
        fetch_all(items, tmp_path, recorder.context(), parallel=2, on_start=fail)
    except KeyError:
        assert len(started) <= 2
    else:
        raise AssertionError("nothing was raised")
