"""The paths to a package: all of them, shortest first, and counted without walking them."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from views import graph, package

from envy.explain.why import count_paths, paths_to


def keys_of(path):
    """Return the keys on a path, without its end."""
    return tuple(step[0].key for step in path)


def all_ways(edges, root, target):
    """Return every path, by plain recursion."""
    found = [()] if root == target else []
    for following in edges[root]:
        found += [(root, *rest) for rest in all_ways(edges, following, target)]
    return found


@given(st.data())
@settings(deadline=None)
def test_all_paths_are_found_shortest_first(data):
    """The paths are those of a naive search, ordered by length and then by keys."""
    names = [f"l.p{number}@r1" for number in range(data.draw(st.integers(1, 8)))]
    edges = {
        name: sorted(data.draw(st.sets(st.sampled_from(names[i + 1 :])))) if names[i + 1 :] else []
        for i, name in enumerate(names)
    }
    roots = sorted(data.draw(st.sets(st.sampled_from(names), min_size=1)))
    shown = graph(*[package(name, *edges[name]) for name in names], roots=roots)
    target = names[-1]
    expected = [way for root in roots for way in all_ways(edges, root, target)]
    found = [keys_of(path) for path in paths_to(shown, target)]
    assert sorted(found) == sorted(expected)
    assert [len(way) for way in found] == sorted(len(way) for way in expected)
    assert count_paths(shown, target) == len(expected)


def test_very_many_paths_cost_nothing_until_they_are_walked():
    """Sixty layers of two packages have 2^60 paths; the first few are returned at once."""
    layers = [[f"l.p{depth:02}{side}@r1" for side in "ab"] for depth in range(60)]
    packages = [
        package(key, *following) for layer, following in itertools.pairwise(layers) for key in layer
    ]
    last = package("l.z@r1")
    packages += [package(key, "l.z@r1") for key in layers[-1]]
    shown = graph(*packages, last, roots=layers[0])
    assert count_paths(shown, "l.z@r1") == 2**60
    ways = paths_to(shown, "l.z@r1")
    assert len({keys_of(next(ways)) for _ in range(5)}) == 5
