"""The contract of `--trace=file:PATH`, as a JSON Schema derived from the event classes."""

import typing
from typing import Any

from envy.events import Event, event_classes, fields_of
from envy.phase import RecipePhase

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def trace_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of each line of a trace file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "envy trace",
        "description": "One object a line; seq, not ts, is the order of events.",
        "type": "object",
        "oneOf": [_event_schema(event_class) for event_class in event_classes()],
        "$defs": {
            "phase": {"enum": [phase.label for phase in RecipePhase]},
            "phase_num": {"enum": [int(phase) for phase in RecipePhase]},
        },
    }


def _event_schema(event_class: type[Event]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "ts": {"type": "string", "format": "date-time"},
        "seq": {"type": "integer", "minimum": 1},
        "event": {"const": event_class.name},
    }
    hints = typing.get_type_hints(event_class)
    for field in fields_of(event_class):
        name = field.name.rstrip("_")
        if hints[field.name] is RecipePhase:
            properties[name] = {"$ref": "#/$defs/phase"}
            properties[f"{name}_num"] = {"$ref": "#/$defs/phase_num"}
        else:
            properties[name] = {"type": _JSON_TYPES[hints[field.name]]}
    where = "" if event_class.in_files else " (not written to files)"
    return {
        "title": event_class.name,
        "description": event_class.text.replace("_}", "}") + where,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
