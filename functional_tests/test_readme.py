"""The tour of the README, followed literally: what it says is printed is what is printed."""

import pytest
from documents import examples_of, run_example

TOUR = examples_of("README.md")


def _cases():
    for example in TOUR:
        marks = [pytest.mark.network] if example.needs_network else []
        yield pytest.param(example, id=example.name, marks=marks)


@pytest.mark.parametrize("example", list(_cases()))
def test_the_tour_prints_what_the_readme_says(example, tmp_path):
    """Every command of the tour, in order, prints what stands under it."""
    run_example(example, tmp_path / "home")


def test_the_tour_is_there():
    """The tour is found in the README, and has commands."""
    assert any(kind == "command" for example in TOUR for kind, _, _ in example.steps)
