"""The tour of the README, followed literally: each command has the output shown."""

import pytest
from documents import examples_of, run_example

TOUR = examples_of("README.md")


def _cases():
    for example in TOUR:
        marks = [pytest.mark.network] if example.needs_network else []
        yield pytest.param(example, id=example.name, marks=marks)


@pytest.mark.parametrize("example", list(_cases()))
def test_the_tour_prints_what_the_readme_says(example, tmp_path):
    """Every command of the tour, in order, has the output that the README shows."""
    run_example(example, tmp_path / "home")


def test_the_readme_has_a_tour():
    """The README contains a tour with commands."""
    assert any(kind == "command" for example in TOUR for kind, _, _ in example.steps)
