"""A second thread, if there is one: it ends with its context, and work goes on without it."""

import io
import os
import random
import threading

import pytest
from left_open import nothing_left_open

from envy.content.extra_threads import extra_thread
from envy.content.read_ahead import CHUNK, chunks_ahead


def used_up():
    """Contexts that hold all extra threads, each of which waits for the event."""
    event = threading.Event()
    return event, [extra_thread(event.wait, event.set) for _ in range((os.cpu_count() or 1) + 1)]


def test_no_more_than_there_are_processors():
    """Without a free processor nothing runs, and the caller is told."""
    event, contexts = used_up()
    told = [context.__enter__() for context in contexts]
    event.set()
    for context in contexts:
        context.__exit__(None, None, None)
    assert told[0]
    assert not told[-1]


def test_the_work_is_stopped_by_an_exception():
    """An exception stops the work, and is raised when the thread has ended."""
    event = threading.Event()
    with nothing_left_open():
        with pytest.raises(KeyError), extra_thread(event.wait, event.set):
            {}.pop("missing")
        assert event.is_set()


DATA = random.Random(1).randbytes(1000) * 9000


@pytest.mark.parametrize("is_busy", [False, True])
def test_chunks_in_order(is_busy):
    """The chunks are those of the stream, with and without a second thread."""
    event, contexts = used_up() if is_busy else (threading.Event(), [])
    for context in contexts:
        context.__enter__()
    with chunks_ahead(io.BytesIO(DATA)) as chunks:
        found = [*chunks]
    event.set()
    for context in contexts:
        context.__exit__(None, None, None)
    assert b"".join(found) == DATA
    assert all(len(chunk) == CHUNK for chunk in found[:-1])


class Broken(io.BytesIO):
    def read(self, size=-1):
        data = super().read(size)
        if not data:
            raise ZeroDivisionError
        return data


def test_an_error_comes_after_the_chunks_before_it():
    """What reading raises is raised where the chunk would be."""
    found = []
    with pytest.raises(ZeroDivisionError), chunks_ahead(Broken(DATA)) as chunks:
        found.extend(chunks)
    with chunks_ahead(Broken(DATA)) as chunks:
        assert next(chunks) == DATA[:CHUNK]
