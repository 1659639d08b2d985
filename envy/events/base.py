"""The base of events: frozen records whose fields are the contract of traces and listeners."""

import dataclasses
import functools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

from envy.masking import masked

# Metadata of a field that listeners see but traces do not contain.
WITHIN = {"within": True}


class Event:
    """Something that happened. Subclasses are dataclasses that are never changed."""

    __slots__ = ()
    name: ClassVar[str]
    text: ClassVar[str]
    in_files: ClassVar[bool] = True  # False: too many, or too large, for --trace

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


_E = TypeVar("_E", bound=Event)


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def event(cls: type[_E]) -> type[_E]:
    """Make a class a dataclass of an event, frozen for the type checker only.

    It has no comparison, no repr and no guard against changes, which no caller needs: for some
    forty classes, generating them took a fifth of the start of every command that is not warm.
    """
    cls.__doc__ = cls.__doc__ or cls.name  # otherwise dataclass builds one from the signature
    return dataclass(slots=True, kw_only=True, eq=False, repr=False)(cls)


def fields_of(event_class: type[Event]) -> tuple[dataclasses.Field[Any], ...]:
    """Return the fields of an event class that traces write."""
    fields = dataclasses.fields(event_class)  # type: ignore[arg-type]
    return tuple(field for field in fields if not field.metadata.get("within"))


def masked_event(event: Event) -> Event:
    """Return the event without secrets: itself, unless one of its texts holds any."""
    names, texts_of = _texts_of(type(event))  # type: ignore[arg-type]
    # One search for all of them: most events hold nothing that would have to be masked.
    text = "\n".join(texts_of(event))
    if masked(text) is text:
        return event
    shown = {name: masked(getattr(event, name)) for name in names}
    return dataclasses.replace(event, **shown)  # type: ignore[type-var]


@functools.cache
def _texts_of(event_class: Any) -> tuple[tuple[str, ...], Callable[[Event], tuple[str, ...]]]:
    """Return the names of an event's texts, and a function that returns the texts."""
    fields = dataclasses.fields(event_class)
    names = tuple(field.name for field in fields if field.type in {str, "str"})
    if len(names) > 1:
        return names, operator.attrgetter(*names)
    return names, lambda event: tuple(getattr(event, name) for name in names)
