"""The interpreter slot: who holds it, and who may take it from a thread inside of Lua."""

import threading

from envy.interpreter import (
    InterpreterSlot,
    come_back_from_lua,
    go_into_lua,
    released,
)


class Worker(threading.Thread):
    """A thread that holds the slot and goes into Lua until it is told to come back."""

    def __init__(self, slot):
        super().__init__(daemon=True)
        self.slot = slot
        self.is_inside = threading.Event()
        self.may_come_back = threading.Event()
        self.is_back = threading.Event()

    def run(self):
        with self.slot.running():
            go_into_lua()
            self.is_inside.set()
            self.may_come_back.wait()
            come_back_from_lua()
            self.is_back.set()


def test_the_slot_is_taken_from_a_thread_inside_of_lua():
    """It waits for the slot when it comes back, and runs no Python code before."""
    slot = InterpreterSlot()
    worker = Worker(slot)
    worker.start()
    assert worker.is_inside.wait(300)
    assert slot.is_in_lua()
    with slot.running():
        worker.may_come_back.set()
        assert not worker.is_back.wait(0.5)
        with released():
            assert worker.is_back.wait(300)
    worker.join(300)
    assert not slot.is_in_lua()
    with slot.running():
        pass


def test_a_thread_that_comes_back_in_time_keeps_the_slot():
    """Nobody has waited for it."""
    slot = InterpreterSlot()
    with slot.running():
        go_into_lua()
        assert come_back_from_lua()
        assert not come_back_from_lua()
        with released(), slot.running():
            pass
    assert not slot.is_in_lua()


def test_a_thread_that_computes_keeps_the_slot():
    """Only Lua code loses it: two threads never run Python code at once."""
    slot = InterpreterSlot()
    got = threading.Event()

    def take():
        with slot.running():
            got.set()

    with slot.running():
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        assert not got.wait(1)
    assert got.wait(300)
    thread.join(300)


def test_a_thread_without_the_slot_goes_in_and_out():
    """Commands without an engine run Lua code as well."""
    go_into_lua()
    assert not come_back_from_lua()
