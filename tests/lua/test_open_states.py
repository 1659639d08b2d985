"""Room for Lua states: how many stay open while their recipes rest."""

from hypothesis import given
from hypothesis import strategies as st

from envy.lua.open_states import LuaRoom


@given(size=st.integers(0, 5), takes=st.integers(0, 12))
def test_no_more_fit_than_there_is_room_for(size, takes):
    """So many states may stay open, and those that are closed make room for others."""
    room = LuaRoom(size)
    taken = sum(room.take() for _ in range(takes))
    assert taken == min(size, takes)
    for _ in range(taken):
        room.give_back()
    assert room.take() == (size > 0)


def test_a_state_that_is_needed_is_had_all_the_same():
    """A recipe that works gets its state beyond the room, and is told to close it when it rests."""
    room = LuaRoom(1)
    assert room.take()
    assert not room.is_exceeded
    room.exceed()
    assert room.is_exceeded
    assert room.made_again == 1
    room.give_back()
    assert not room.is_exceeded
