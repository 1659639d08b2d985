"""The limit on Lua states that stay open between phases."""

from hypothesis import given
from hypothesis import strategies as st

from envy.lua.open_states import OpenStates


@given(size=st.integers(0, 5), takes=st.integers(0, 12))
def test_states_stay_open_up_to_the_limit(size, takes):
    """States may stay open up to the limit, and a closed state makes room for another."""
    states = OpenStates(size)
    taken = sum(states.try_add() for _ in range(takes))
    assert taken == min(size, takes)
    for _ in range(taken):
        states.remove()
    assert states.try_add() == (size > 0)


def test_a_needed_state_may_exceed_the_limit():
    """A recipe with work gets a state beyond the limit, which is exceeded until one is closed."""
    states = OpenStates(1)
    assert states.try_add()
    assert not states.is_exceeded
    states.add()
    assert states.is_exceeded
    assert states.reopened == 1
    states.remove()
    assert not states.is_exceeded
