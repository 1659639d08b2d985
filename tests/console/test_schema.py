"""The JSON Schema of the trace."""

import dataclasses
import json

import pytest

from envy.console.schema import trace_schema
from envy.events import Stamped, event_classes
from envy.phase import RecipePhase


def schema_of(event_class):
    return next(s for s in trace_schema()["oneOf"] if s["title"] == event_class.name)


def example(event_class):
    """Return an event of that class, each field with a value of its type."""
    values = {str: "text", int: 1, bool: True, RecipePhase: RecipePhase.BUILD}
    fields = {field.name: values[field.type] for field in dataclasses.fields(event_class)}
    return event_class(**fields)


@pytest.mark.parametrize("event_class", event_classes(), ids=lambda c: c.name)
def test_each_event_has_the_fields_of_its_schema(event_class):
    """Written events have the fields of the schema, in the same order."""
    row = Stamped(1, 0.0, example(event_class)).as_json()
    assert list(row) == schema_of(event_class)["required"]


@pytest.mark.parametrize("event_class", event_classes(), ids=lambda c: c.name)
def test_each_value_has_the_type_in_the_schema(event_class):
    """The types in the schema match the values of an event."""
    row = json.loads(json.dumps(Stamped(1, 0.0, example(event_class)).as_json()))
    types = {"string": str, "integer": int, "boolean": bool}
    for name, rule in schema_of(event_class)["properties"].items():
        if "type" in rule:
            assert types[rule["type"]] is type(row[name])
        elif "$ref" in rule:
            assert row[name] in trace_schema()["$defs"][rule["$ref"].rpartition("/")[2]]["enum"]
        else:
            assert rule["const"] == row[name]


def test_the_schema_covers_every_event_once():
    """No event is left out."""
    assert [c.name for c in event_classes()] == [s["title"] for s in trace_schema()["oneOf"]]


def test_each_event_is_in_the_schema_once():
    """A slotted class is created twice, and only the second one, with its final name, counts."""
    classes = event_classes()
    assert len({event_class.__name__ for event_class in classes}) == len(classes)
