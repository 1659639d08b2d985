"""The limit on Lua states that stay open between phases."""

from hypothesis import given
from hypothesis import strategies as st

from envy.lua.open_states import LuaRoom


@given(size=st.integers(0, 5), takes=st.integers(0, 12))
def test_states_stay_open_up_to_the_limit(size, takes):
    """States may stay open up to the limit, and a closed state makes room for another."""
    room = LuaRoom(size)
    taken = sum(room.take() for _ in range(takes))
    assert taken == min(size, takes)
    for _ in range(taken):
        room.give_back()
    assert room.take() == (size > 0)


def test_a_needed_state_may_exceed_the_limit():
    """A recipe with work gets a state beyond the limit, which is exceeded until one is closed."""
    room = LuaRoom(1)
    assert room.take()
    assert not room.is_exceeded
    room.exceed()
    assert room.is_exceeded
    assert room.made_again == 1
    room.give_back()
    assert not room.is_exceeded
